//! Simulated pipes: slots of at most a page each, as in the kernel, so that many small pieces fill a pipe long before its bytes do.

use super::World;
use super::errno::*;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

const PAGE: usize = 4096;

pub(crate) struct SimPipe {
    world: Rc<World>,
    rt: usize,
    slots: VecDeque<VecDeque<u8>>,
    held: usize,
    most: usize,
}

impl SimPipe {
    /// Two descriptors, of which the world keeps count.
    pub fn new(world: Rc<World>, rt: usize, slots: usize) -> SimPipe {
        SimPipe { world, rt, slots: VecDeque::new(), held: 0, most: slots }
    }

    pub fn capacity(&self) -> usize {
        self.most * PAGE
    }

    pub fn set_capacity(&mut self, bytes: usize) -> io::Result<usize> {
        let pages = bytes.div_ceil(PAGE).max(1).next_power_of_two();
        if self.world.net.borrow().faults.pipes_refused {
            return fail(EPERM);
        }
        if pages < self.slots.len() {
            return fail(EBUSY);
        }
        self.most = pages;
        Ok(self.capacity())
    }

    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.most
    }

    pub fn held(&self) -> usize {
        self.held
    }

    pub fn push(&mut self, bytes: VecDeque<u8>) {
        self.held += bytes.len();
        self.slots.push_back(bytes);
    }

    pub fn take(&mut self, n: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(n);
        while out.len() < n {
            let Some(slot) = self.slots.front_mut() else { break };
            let m = slot.len().min(n - out.len());
            out.extend(slot.drain(..m));
            if slot.is_empty() {
                self.slots.pop_front();
            }
        }
        self.held -= out.len();
        out
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full() {
            return fail(EAGAIN);
        }
        let n = bytes.len().min(PAGE);
        self.push(bytes[..n].iter().copied().collect());
        Ok(n)
    }

    pub fn fill(&mut self, from: u32, len: usize) -> io::Result<usize> {
        let world = self.world.clone();
        world.moves(from);
        world.net.borrow_mut().fill(from, self, len)
    }

    pub fn drain(&mut self, to: u32, len: usize, more: bool) -> io::Result<usize> {
        let world = self.world.clone();
        world.moves(to);
        world.net.borrow_mut().drain(to, self, len, more)
    }
}

impl Drop for SimPipe {
    fn drop(&mut self) {
        self.world.net.borrow_mut().hosts[self.rt].descriptors -= 2;
    }
}
