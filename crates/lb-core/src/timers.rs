//! When a stream reached its steps: the timers of the log (manual 8.4). Offsets in milliseconds from the accept, 4 bytes each.

const NEVER: u32 = u32::MAX;

/// Moments of one stream; those not reached are unset.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// When the connection (or, on a kept-alive one, the wait for this request) began, by [`lb_rt::Rt::nanos`].
    pub accept: u64,
    handshake: u32,
    first_byte: u32,
    request: u32,
    queue: u32,
    connect: u32,
    response: u32,
    end: u32,
}

/// A step of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Handshakes (PROXY header) done.
    Handshake,
    /// First byte of the request.
    FirstByte,
    /// Request head complete.
    Request,
    /// Out of the queues.
    Queue,
    /// Connected to the server.
    Connect,
    /// Response head complete, or first byte of a TCP stream.
    Response,
    /// All sent.
    End,
}

impl Timers {
    /// Starts at `accept`.
    pub fn new(accept: u64) -> Timers {
        Timers { accept, handshake: NEVER, first_byte: NEVER, request: NEVER, queue: NEVER, connect: NEVER, response: NEVER, end: NEVER }
    }

    fn get(&self, step: Step) -> u32 {
        match step {
            Step::Handshake => self.handshake,
            Step::FirstByte => self.first_byte,
            Step::Request => self.request,
            Step::Queue => self.queue,
            Step::Connect => self.connect,
            Step::Response => self.response,
            Step::End => self.end,
        }
    }

    fn slot(&mut self, step: Step) -> &mut u32 {
        match step {
            Step::Handshake => &mut self.handshake,
            Step::FirstByte => &mut self.first_byte,
            Step::Request => &mut self.request,
            Step::Queue => &mut self.queue,
            Step::Connect => &mut self.connect,
            Step::Response => &mut self.response,
            Step::End => &mut self.end,
        }
    }

    /// Notes that `step` was reached at `now` (by [`lb_rt::Rt::nanos`]); a later note replaces it.
    #[inline]
    pub fn mark(&mut self, step: Step, now: u64) {
        let ms = now.saturating_sub(self.accept) / 1_000_000;
        *self.slot(step) = ms.min(u64::from(NEVER - 1)) as u32;
    }

    /// Forgets a step: it is to be done again.
    pub fn unmark(&mut self, step: Step) {
        *self.slot(step) = NEVER;
    }

    /// True when `step` was reached.
    pub fn reached(&self, step: Step) -> bool {
        self.get(step) != NEVER
    }

    /// Times of a stream that was answered: `%Tw`, `%Tc`, `%Tr`, `%Tt`, and 0 where there is none.
    #[inline]
    pub fn spans(&self) -> [u32; 4] {
        let or = |a: u32, b: u32| if a == NEVER { b } else { a };
        let begin = or(self.request, or(self.first_byte, or(self.handshake, 0)));
        let queue = or(self.queue, begin);
        let connect = or(self.connect, queue);
        let response = or(self.response, connect);
        [queue.saturating_sub(begin), connect.saturating_sub(queue), response.saturating_sub(connect), or(self.end, 0)]
    }

    fn at(ms: u32) -> Option<i64> {
        (ms != NEVER).then_some(i64::from(ms))
    }

    fn from_to(from: Option<i64>, to: u32) -> i64 {
        match (from, Self::at(to)) {
            (Some(from), Some(to)) => (to - from).max(0),
            _ => -1,
        }
    }

    /// `%Th`
    pub fn handshake(&self) -> i64 {
        Self::at(self.handshake).unwrap_or(0)
    }

    /// `%Ti`: from the end of the handshake to the first byte; -1 when none came.
    pub fn idle(&self) -> i64 {
        Self::from_to(Some(self.handshake()), self.first_byte)
    }

    /// Milliseconds from accept to the first byte of the request (mode http) or to the accept itself.
    pub fn start(&self) -> i64 {
        Self::at(self.first_byte).unwrap_or(self.handshake())
    }

    /// `%TR`
    pub fn request(&self) -> i64 {
        Self::from_to(Some(self.start()), self.request)
    }

    /// `%Tq`
    pub fn query(&self) -> i64 {
        Self::at(self.request).unwrap_or(-1)
    }

    /// `%Tw`: from the complete request to the end of queuing.
    pub fn queued(&self) -> i64 {
        Self::from_to(Self::at(self.request).or(Some(self.start())), self.queue)
    }

    /// `%Tc`
    pub fn connect(&self) -> i64 {
        Self::from_to(Self::at(self.queue), self.connect)
    }

    /// `%Tr`
    pub fn response(&self) -> i64 {
        Self::from_to(Self::at(self.connect), self.response)
    }

    /// `%Td`
    pub fn data(&self) -> i64 {
        Self::from_to(Self::at(self.response).or(Self::at(self.connect)), self.end)
    }

    /// `%Ta`: from the first byte of the request to the end.
    pub fn active(&self) -> i64 {
        Self::from_to(Some(self.start()), self.end)
    }

    /// `%Tt`: from the accept to the end.
    pub fn total(&self) -> i64 {
        Self::at(self.end).unwrap_or(0)
    }

    /// Milliseconds from accept to `%tr`'s moment.
    pub fn request_date(&self) -> u64 {
        u64::try_from(self.start()).unwrap_or(0)
    }
}
