//! The simulator's arms of the driver: what an executor and a descriptor see of their world.

use super::errno::fail;
use super::net::{Body, Id};
use super::{SimPipe, SimWorld, World};
use lb_sys::Addr;
use lb_sys::socket::{Kind, SockOpt};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::{Instant, SystemTime};

pub(crate) struct SimDriver {
    world: Rc<World>,
    rt: usize,
}

impl SimDriver {
    pub fn new(world: Rc<World>, rt: usize) -> SimDriver {
        SimDriver { world, rt }
    }

    pub fn world(&self) -> SimWorld {
        SimWorld(self.world.clone())
    }

    pub fn now(&self) -> Instant {
        self.world.now()
    }

    pub fn nanos(&self) -> u64 {
        self.world.nanos()
    }

    pub fn wall(&self) -> SystemTime {
        self.world.wall()
    }

    pub fn random(&self) -> u64 {
        self.world.net.borrow_mut().rng.next()
    }

    pub fn take_events(&self) -> Vec<(u64, u8)> {
        self.world.net.borrow_mut().take_events(self.rt)
    }

    pub fn open(&self, addr: &Addr, kind: Kind) -> io::Result<SimHandle> {
        let id = self.world.net.borrow_mut().open(self.rt, addr, kind)?;
        Ok(SimHandle { world: self.world.clone(), id })
    }

    pub fn pipe(&self) -> io::Result<SimPipe> {
        let mut net = self.world.net.borrow_mut();
        net.room_for_descriptor(self.rt)?;
        net.hosts[self.rt].descriptors += 2;
        let slots = net.knobs.pipe_slots;
        Ok(SimPipe::new(self.world.clone(), self.rt, slots))
    }
}

/// A simulated descriptor; dropping it closes it.
pub(crate) struct SimHandle {
    world: Rc<World>,
    id: Id,
}

impl SimHandle {
    pub fn id(&self) -> Id {
        self.id
    }

    pub fn register(&self, token: u64) {
        self.world.used(self.id);
        self.world.net.borrow_mut().register(self.id, token);
    }

    pub fn bind(&self, addr: &Addr) -> io::Result<()> {
        self.world.net.borrow_mut().bind(self.id, addr)
    }

    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        self.world.net.borrow_mut().listen(self.id, backlog)
    }

    pub fn accept(&self) -> io::Result<(SimHandle, Addr)> {
        let (id, addr) = self.world.net.borrow_mut().accept(self.id)?;
        Ok((SimHandle { world: self.world.clone(), id }, addr))
    }

    pub fn connect(&self, addr: &Addr) -> io::Result<bool> {
        self.world.used(self.id);
        self.world.net.borrow_mut().connect(self.id, addr)
    }

    pub fn apply(&self, option: &SockOpt) -> io::Result<()> {
        self.world.net.borrow_mut().apply(self.id, option);
        Ok(())
    }

    pub fn recv(&self, buf: &mut [u8], peek: bool) -> io::Result<usize> {
        self.world.moves(self.id);
        self.world.net.borrow_mut().recv(self.id, buf, peek)
    }

    pub fn send(&self, buf: &[u8], more: bool) -> io::Result<usize> {
        self.world.moves(self.id);
        self.world.net.borrow_mut().send(self.id, buf, more)
    }

    pub fn send_vectored(&self, bufs: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let all: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
        self.send(&all, more)
    }

    pub fn send_to(&self, buf: &[u8], addr: &Addr) -> io::Result<usize> {
        self.world.net.borrow_mut().send_to(self.id, buf, addr)
    }

    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, Addr)> {
        self.world.net.borrow_mut().recv_from(self.id, buf)
    }

    pub fn shutdown_write(&self) -> io::Result<()> {
        self.world.net.borrow_mut().shutdown_write(self.id)
    }

    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.world.net.borrow_mut().take_error(self.id).map(io::Error::from_raw_os_error))
    }

    pub fn local_addr(&self) -> Addr {
        self.world.net.borrow_mut().sock(self.id).local.clone()
    }

    pub fn peer_addr(&self) -> io::Result<Addr> {
        match &self.world.net.borrow_mut().sock(self.id).body {
            Body::Stream(s) if s.is_connected() => Ok(s.peer_addr.clone()),
            _ => fail(super::errno::ENOTCONN),
        }
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.world.net.borrow_mut().close(self.id);
    }
}
