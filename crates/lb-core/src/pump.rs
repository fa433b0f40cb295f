//! The pump: one [`Flow`] moves the bytes of one direction from a socket to another, by copy or by splice(2); two flows make a
//! duplex machine. Called by relay.rs and by the HTTP exchange. Everything that a stream forwards goes through here.
//!
//! Holds: bytes leave in the order in which they came; a flow that waits for its source holds no buffer and no pipe; what the
//! message's framing gives is forwarded and not one byte more.

use crate::out::{Out, OutPool};
use lb_http::chunk;
use lb_rt::{Buffer, PooledPipe, Rt, Socket, Spliced};
use std::io;
use std::task::{Poll, ready};

/// Remaining bytes of a body or chunk from which splicing pays at once.
const SPLICE_FROM: u64 = 64 << 10;
/// Reads that filled the buffer, one after the other, after which a stream of unknown length is spliced.
const FULL_READS: u8 = 3;
/// A splice that moves less than this was not worth it.
const SMALL_SPLICE: usize = 8 << 10;
/// So many small splices in a row lead back to copying.
const SMALL_SPLICES: u8 = 4;

/// What is left to move.
pub enum Framing {
    /// Nothing.
    None,
    /// That many bytes.
    Length(u64),
    /// Everything until the source closes.
    UntilClose,
    /// A chunked body, which goes out in the same chunks.
    Chunked(Box<chunk::Decoder>),
    /// A chunked body whose recipient knows no chunks (HTTP/1.0): the bare data.
    Dechunked(Box<chunk::Decoder>),
}

/// When bytes may be spliced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpliceMode {
    /// Never.
    Off,
    /// When it pays.
    Auto,
}

/// Why a flow cannot go on.
#[derive(Debug)]
pub enum Broken {
    /// Reading failed.
    Source(io::Error),
    /// Writing failed.
    Sink(io::Error),
    /// The source closed in the middle of a body.
    Truncated,
    /// The chunked body is malformed.
    Chunk(chunk::ChunkError),
}

/// Whom a pending flow waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// Its source has to send.
    Source,
    /// Its sink has to take.
    Sink,
    /// Nobody: it is done.
    Done,
}

/// What happened during a poll.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Activity {
    /// Bytes (or the end) came from the source.
    pub read: bool,
    /// Bytes went to the sink.
    pub wrote: bool,
}

/// What comes behind the bytes in the pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tail {
    /// Nothing yet.
    None,
    /// The end of the chunk whose data they are.
    ChunkEnd,
    /// `out`.
    Out,
}

/// One direction of a stream.
pub struct Flow {
    framing: Framing,
    /// Read and not yet forwarded; may begin with bytes that were there before the flow began.
    input: Option<Buffer>,
    /// Bytes of a chunked body at the front of `input` that go on as they stand.
    plain: usize,
    /// To be written before anything else.
    out: Option<Out>,
    pipe: Option<PooledPipe>,
    splice: SpliceMode,
    streak: u8,
    /// What has to follow the bytes in the pipe.
    tail: Tail,
    /// The chunk before was spliced: what is read next is framing, and its data shall not be copied.
    large_chunks: bool,
    /// What waits in the pipe takes more before it goes: many small writes cost more wake-ups than bytes. Looked at once.
    gather: bool,
    waits: Waits,
    activity: Activity,
    /// The source has closed.
    pub eof: bool,
    /// Bytes that the sink has taken.
    pub sent: u64,
    /// Bytes of the body that came from the source, without framing and heads.
    pub payload: u64,
    /// Bytes that the sink has taken by splice.
    pub spliced: u64,
}

impl Flow {
    /// A flow of `framing`.
    pub fn new(framing: Framing, splice: SpliceMode) -> Flow {
        Flow {
            framing,
            input: None,
            plain: 0,
            out: None,
            pipe: None,
            splice,
            streak: 0,
            tail: Tail::None,
            large_chunks: false,
            gather: false,
            waits: Waits::Sink,
            activity: Activity::default(),
            eof: false,
            sent: 0,
            payload: 0,
            spliced: 0,
        }
    }

    /// Bytes that the source has sent already.
    pub fn set_input(&mut self, input: Option<Buffer>) {
        self.input = input;
        self.waits = Waits::Sink;
    }

    /// What was read and is not part of the message: the next one's beginning.
    pub fn take_input(&mut self) -> Option<Buffer> {
        Buffer::release_empty(&mut self.input);
        self.input.take()
    }

    /// Bytes to send first.
    pub fn out(&mut self, pool: &OutPool) -> &mut Vec<u8> {
        self.waits = Waits::Sink;
        self.out.get_or_insert_with(|| pool.take()).bytes()
    }

    /// Takes `out` over, sent part included.
    pub fn set_out(&mut self, out: Out) {
        self.out = Some(out);
        self.waits = Waits::Sink;
    }

    /// Changes what is left to move; nothing may be under way.
    pub fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
        self.waits = Waits::Sink;
    }

    /// Whom the flow waits for, as of its last poll.
    pub fn waits(&self) -> Waits {
        self.waits
    }

    /// What happened since this was last asked.
    #[inline]
    pub fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    /// True when all has been forwarded.
    pub fn is_done(&self) -> bool {
        self.waits == Waits::Done
    }

    /// Moves on. Ready when the message is complete and handed to the sink.
    #[inline]
    pub fn poll(&mut self, rt: &Rt, outs: &OutPool, from: &Socket, to: &Socket) -> Poll<Result<(), Broken>> {
        // A flow that waits for its source holds nothing that could move.
        if self.waits == Waits::Source {
            if from.poll_readable().map_err(Broken::Source)?.is_pending() {
                return Poll::Pending;
            }
            if matches!(self.framing, Framing::UntilClose)
                && self.streak < FULL_READS
                && let Some(done) = self.copy(rt, from, to)
            {
                return done;
            }
        }
        self.run(rt, outs, from, to)
    }

    /// The short way of small messages: one read, one write, through a buffer that nobody keeps. `None`: there is more to do.
    #[inline]
    fn copy(&mut self, rt: &Rt, from: &Socket, to: &Socket) -> Option<Poll<Result<(), Broken>>> {
        rt.buffers().with_scratch(|bytes| {
            let len = bytes.len();
            let n = match from.poll_read(bytes) {
                Poll::Pending => return Some(Poll::Pending),
                Poll::Ready(Err(e)) => return Some(Poll::Ready(Err(Broken::Source(e)))),
                Poll::Ready(Ok(n)) => n,
            };
            self.activity.read = true;
            if n == 0 {
                self.eof = true;
                self.framing = Framing::None;
                return None;
            }
            self.streak = if n == len { self.streak + 1 } else { 0 };
            let wrote = match to.poll_write(&bytes[..n], false) {
                Poll::Pending => 0,
                Poll::Ready(Ok(m)) => m,
                Poll::Ready(Err(e)) => return Some(Poll::Ready(Err(Broken::Sink(e)))),
            };
            self.sent += wrote as u64;
            self.activity.wrote |= wrote != 0;
            if wrote != n {
                let mut rest = rt.buffers().take();
                rest.append(&bytes[wrote..n]);
                self.input = Some(rest);
                return None;
            }
            match from.poll_readable() {
                Poll::Pending => Some(Poll::Pending),
                _ => None,
            }
        })
    }

    fn run(&mut self, rt: &Rt, outs: &OutPool, from: &Socket, to: &Socket) -> Poll<Result<(), Broken>> {
        for _ in 0..MAX_TURNS {
            self.waits = Waits::Sink;
            if self.tail == Tail::ChunkEnd
                && let Err(e) = self.next_framing(rt, outs, from)
            {
                return self.break_off(to, e);
            }
            let gathers = std::mem::take(&mut self.gather);
            if !gathers {
                if self.tail == Tail::Out {
                    ready!(self.poll_pipe(to))?;
                    self.tail = Tail::None;
                }
                if self.out.is_some() {
                    ready!(self.poll_out(to))?;
                }
                if self.pipe.is_some() {
                    ready!(self.poll_pipe(to))?;
                }
            }
            if self.input.as_ref().is_some_and(|b| !b.is_empty()) && !self.complete() {
                if self.is_chunked() && self.plain == 0 {
                    if let Err(e) = self.chunks(outs) {
                        return self.break_off(to, e);
                    }
                    continue;
                }
                ready!(self.poll_input(to))?;
                continue;
            }
            if self.complete() {
                self.waits = Waits::Done;
                return Poll::Ready(Ok(()));
            }
            if self.eof {
                if self.holds() {
                    continue;
                }
                match self.framing {
                    Framing::UntilClose => self.framing = Framing::None,
                    _ => return Poll::Ready(Err(Broken::Truncated)),
                }
                continue;
            }
            self.waits = Waits::Source;
            if from.poll_readable().map_err(Broken::Source)?.is_pending() {
                if self.holds() {
                    continue;
                }
                self.input = None;
                return Poll::Pending;
            }
            let splices = self.splices();
            let read = if splices { self.poll_fill(rt, from) } else { self.poll_read(rt, from) };
            let read = match read {
                Ok(read) => read,
                Err(e) => return self.break_off(to, e),
            };
            if read.is_pending() {
                if self.holds() {
                    continue;
                }
                Buffer::release_empty(&mut self.input);
                return Poll::Pending;
            }
            // What was read joins what waits.
            self.gather = gathers && !splices && !self.eof;
        }
        self.waits = Waits::Sink;
        rt.wake_deferred();
        Poll::Pending
    }

    /// What came before the fault still goes, as far as the sink takes it now; unless nothing has gone yet: then there may be a
    /// better answer.
    fn break_off(&mut self, to: &Socket, fault: Broken) -> Poll<Result<(), Broken>> {
        if matches!(self.poll_pipe(to), Poll::Ready(Ok(()))) && self.sent != 0 {
            let _ = self.poll_out(to);
        }
        Poll::Ready(Err(fault))
    }

    /// Bytes wait for the sink.
    fn holds(&self) -> bool {
        self.out.is_some() || self.pipe.as_ref().is_some_and(|pipe| pipe.held() != 0)
    }

    /// A chunk's data is in the pipe. Its end and the size line of the next one join it there if that one is as large and its size line has
    /// come: many chunks then leave with one call. Otherwise they follow in `out`.
    fn next_framing(&mut self, rt: &Rt, outs: &OutPool, from: &Socket) -> Result<(), Broken> {
        chunk::write_chunk_end(self.out(outs));
        self.tail = Tail::Out;
        if self.poll_read(rt, from)?.is_ready() {
            self.chunks(outs)?;
        }
        if self.opaque() >= SPLICE_FROM
            && let (Some(pipe), Some(out)) = (&mut self.pipe, &self.out)
            && pipe.append(out.rest())
        {
            self.out = None;
            self.tail = Tail::None;
            self.gather = true;
        }
        Ok(())
    }

    fn is_chunked(&self) -> bool {
        matches!(self.framing, Framing::Chunked(_) | Framing::Dechunked(_))
    }

    /// Nothing more has to come from the source.
    fn complete(&self) -> bool {
        matches!(self.framing, Framing::None | Framing::Length(0))
    }

    fn poll_out(&mut self, to: &Socket) -> Poll<Result<(), Broken>> {
        let Some(out) = &mut self.out else { return Poll::Ready(Ok(())) };
        // A small body that is there already goes with its head, in one call.
        let limit = match self.framing {
            Framing::Length(n) => n,
            Framing::UntilClose => u64::MAX,
            _ => 0,
        };
        // The data of a large chunk follows its size line at once.
        let mut more = self.large_chunks && self.splice == SpliceMode::Auto;
        if let (Some(input), true) = (&mut self.input, limit != 0) {
            let n = input.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
            if n != 0 && out.bytes().len() + n <= input.capacity() {
                out.bytes().extend_from_slice(&input.filled()[..n]);
                input.consume(n);
                self.payload += n as u64;
                if let Framing::Length(left) = &mut self.framing {
                    *left -= n as u64;
                }
            }
            more |= !input.is_empty();
        }
        while !out.is_empty() {
            let n = ready!(to.poll_write(out.rest(), more)).map_err(Broken::Sink)?;
            out.consume(n);
            self.sent += n as u64;
            self.activity.wrote = true;
        }
        self.out = None;
        Poll::Ready(Ok(()))
    }

    /// Writes from the input buffer itself.
    fn poll_input(&mut self, to: &Socket) -> Poll<Result<(), Broken>> {
        let Some(input) = &mut self.input else { return Poll::Ready(Ok(())) };
        while !input.is_empty() {
            let bytes = match self.framing {
                Framing::Length(0) => break,
                Framing::Length(n) => &input.filled()[..input.len().min(usize::try_from(n).unwrap_or(usize::MAX))],
                Framing::Chunked(_) if self.plain == 0 => break,
                Framing::Chunked(_) => &input.filled()[..self.plain],
                _ => input.filled(),
            };
            let n = ready!(to.poll_write(bytes, false)).map_err(Broken::Sink)?;
            input.consume(n);
            self.sent += n as u64;
            self.activity.wrote = true;
            match &mut self.framing {
                // Counted when it was decoded.
                Framing::Chunked(_) => {
                    self.plain -= n;
                    continue;
                }
                Framing::Length(left) => *left -= n as u64,
                _ => {}
            }
            self.payload += n as u64;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_pipe(&mut self, to: &Socket) -> Poll<Result<(), Broken>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        while pipe.held() != 0 {
            let n = ready!(to.poll_drain(pipe, usize::MAX, false)).map_err(Broken::Sink)?;
            self.sent += n as u64;
            self.spliced += n as u64;
            self.activity.wrote = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, rt: &Rt, from: &Socket) -> Result<Poll<()>, Broken> {
        self.release_pipe();
        let usual = rt.buffers().size();
        // The data of a large chunk shall not be copied.
        let head_only = self.large_chunks && self.splice == SpliceMode::Auto;
        // What a source gives at once is read, and leaves, with as few calls as can be.
        if self.streak != 0 && !head_only && self.input.as_ref().is_none_or(|b| b.is_empty() && b.capacity() == usual) {
            self.input = Some(rt.buffers().take_large());
        }
        let input = self.input.get_or_insert_with(|| rt.buffers().take());
        let mut room = input.spare();
        if head_only {
            room = &mut room[..CHUNK_HEAD];
        }
        let len = room.len();
        match from.poll_read(room) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(e)) => Err(Broken::Source(e)),
            Poll::Ready(Ok(n)) => {
                input.commit(n);
                self.eof = n == 0;
                self.activity.read = true;
                self.streak = if n >= len.min(usual) { self.streak.saturating_add(1) } else { 0 };
                Ok(Poll::Ready(()))
            }
        }
    }

    /// Bytes that may be moved without looking at them.
    fn opaque(&self) -> u64 {
        match &self.framing {
            Framing::Length(n) => *n,
            Framing::UntilClose => u64::MAX,
            Framing::Chunked(d) | Framing::Dechunked(d) => d.remaining(),
            Framing::None => 0,
        }
    }

    fn splices(&self) -> bool {
        if self.splice == SpliceMode::Off {
            return false;
        }
        // Once begun, a splice goes on to the end of what is opaque: its last bytes are worth no buffer.
        let known = self.opaque();
        known != 0
            && (self.pipe.is_some() || (known != u64::MAX && known >= SPLICE_FROM) || (known == u64::MAX && self.streak >= FULL_READS))
    }

    fn poll_fill(&mut self, rt: &Rt, from: &Socket) -> Result<Poll<()>, Broken> {
        self.input = None;
        if self.pipe.is_none() {
            match rt.pipes().take(rt) {
                Some(pipe) => {
                    self.pipe = Some(pipe);
                    self.streak = 0;
                }
                None => {
                    self.splice = SpliceMode::Off;
                    return self.poll_read(rt, from);
                }
            }
        }
        let opaque = self.opaque();
        let Some(pipe) = &mut self.pipe else { return Ok(Poll::Pending) };
        let len = usize::try_from(opaque).unwrap_or(usize::MAX).min(pipe.capacity());
        match from.poll_fill(pipe, len) {
            Poll::Pending => {
                // Waits hold nothing.
                self.release_pipe();
                self.streak = FULL_READS;
                Ok(Poll::Pending)
            }
            Poll::Ready(Err(e)) if e.raw_os_error() == Some(EINVAL) => {
                self.splice = SpliceMode::Off;
                self.poll_read(rt, from)
            }
            Poll::Ready(Err(e)) => Err(Broken::Source(e)),
            Poll::Ready(Ok(Spliced::Eof)) => {
                self.eof = true;
                self.activity.read = true;
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Ok(Spliced::PipeFull)) => Ok(Poll::Ready(())),
            Poll::Ready(Ok(Spliced::Moved(n))) => {
                self.activity.read = true;
                self.payload += n as u64;
                match &mut self.framing {
                    Framing::Length(left) => *left -= n as u64,
                    Framing::Chunked(d) => {
                        d.advance_data(n as u64).map_err(Broken::Chunk)?;
                        if d.remaining() == 0 {
                            self.tail = Tail::ChunkEnd;
                        }
                        self.large_chunks = true;
                    }
                    Framing::Dechunked(d) => d.advance_data(n as u64).map_err(Broken::Chunk)?,
                    _ => {}
                }
                self.note_splice(n);
                Ok(Poll::Ready(()))
            }
        }
    }

    /// An endless stream whose messages have become small goes back to copying, which costs the same calls and no pipe.
    fn note_splice(&mut self, n: usize) {
        if n >= SMALL_SPLICE {
            self.streak = 0;
        } else {
            self.streak = self.streak.saturating_add(1);
            if self.streak >= SMALL_SPLICES && matches!(self.framing, Framing::UntilClose) {
                self.streak = 0;
                self.release_pipe();
            }
        }
    }

    /// A pipe that holds nothing goes back.
    fn release_pipe(&mut self) {
        if self.pipe.as_ref().is_some_and(|p| p.held() == 0) {
            self.pipe = None;
        }
    }

    /// Turns what is in the input into output: chunk by chunk, until the input is used up or the output is full.
    fn chunks(&mut self, outs: &OutPool) -> Result<(), Broken> {
        let Some(input) = &mut self.input else { return Ok(()) };
        let (decoder, framed) = match &mut self.framing {
            Framing::Chunked(d) => (d, true),
            Framing::Dechunked(d) => (d, false),
            _ => return Ok(()),
        };
        // Much of it need not be copied, if nothing waits that it had better go with.
        if framed && self.out.is_none() && input.len() >= PLAIN_FROM {
            let (plain, data) = decoder.pass(input.filled());
            self.payload += data as u64;
            self.large_chunks = decoder.remaining() >= SPLICE_FROM;
            self.plain = plain;
            if plain != 0 {
                return Ok(());
            }
        }
        let out = self.out.get_or_insert_with(|| outs.take()).bytes();
        let mut ended = false;
        while !input.is_empty() && out.len() < GATHER {
            let at_start = decoder.remaining() == 0;
            let step = decoder.decode(input.filled()).map_err(Broken::Chunk)?;
            input.consume(step.consumed);
            let left = decoder.remaining();
            self.large_chunks = left >= SPLICE_FROM;
            if framed && at_start && left != 0 {
                chunk::write_size(left, out);
            }
            match step.event {
                chunk::Event::NeedMore => {}
                chunk::Event::Data(n) => {
                    out.extend_from_slice(&input.filled()[..n]);
                    input.consume(n);
                    self.payload += n as u64;
                    decoder.advance_data(n as u64).map_err(Broken::Chunk)?;
                    if framed && n as u64 == left {
                        chunk::write_chunk_end(out);
                    }
                }
                chunk::Event::End => {
                    if framed {
                        chunk::write_last(decoder.trailer_lines(), out);
                    }
                    // As the log counts: trailers without their punctuation, and one byte for the end.
                    self.payload += 1 + decoder.trailers().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
                    ended = true;
                    break;
                }
            }
        }
        if ended {
            self.framing = Framing::None;
        }
        Ok(())
    }
}

/// Turns that a flow takes in one poll: behind them others have theirs, and the executor sees whether anything has moved. A turn moves up
/// to a buffer, so only very small pieces come so far, or a fault in the loop itself, which would else never come back.
const MAX_TURNS: u32 = 1_024;

/// Bytes of a chunked body from which a call of its own is cheaper than a copy.
const PLAIN_FROM: usize = 16 << 10;

/// What an output vector may hold of small chunks.
const GATHER: usize = 64 << 10;

/// Room for the end of one chunk and the size line of the next.
const CHUNK_HEAD: usize = 32;

/// `EINVAL`: the descriptors cannot be spliced.
const EINVAL: i32 = 22;
