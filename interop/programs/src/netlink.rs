//! The network interfaces and whether they are up, as the kernel announces it on a
//! netlink socket; and as much of it as was missed, when it announces faster than
//! anybody reads.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, IoSliceMut, Result};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rustix::net::netlink::SocketAddrNetlink;
use wouldblock::{
    AddressFamily, Deadline, Errno, Io, NonBlocking, OwnedFd, RecvFlags, SendFlags, SocketAddrAny,
    SocketType, socket,
};

/// The group of the messages on interfaces: its number is 1.
const LINKS: u32 = 1;
/// The kernel sends no longer message.
const LONGEST: usize = 64 * 1024;
/// On a list that was changed while it was sent.
const DUMP_INTERRUPTED: u16 = 0x10;

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// One interface.
    Link(u32),
    /// Something that was missed: all of it has been asked for again.
    Everything,
}

pub struct Links {
    socket: NonBlocking<OwnedFd>,
    buf: Box<[u8]>,
    sequence: u32,
    /// Name, and whether it is up, by number.
    pub links: BTreeMap<u32, (String, bool)>,
}

impl Links {
    pub fn new() -> Result<Self> {
        let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, LINKS))?;
        Ok(Self {
            socket: NonBlocking::new(socket)?,
            buf: vec![0; LONGEST].into(),
            sequence: 0,
            links: BTreeMap::new(),
        })
    }

    /// Of which the options can be set.
    pub fn socket(&self) -> &OwnedFd {
        self.socket.get_ref()
    }

    /// Waits for something to change. `TimedOut` if nothing does.
    pub fn changed(&mut self, deadline: Deadline) -> Result<Change> {
        loop {
            for message in match self.receive(deadline)? {
                Some(messages) => messages,
                None => {
                    self.learn(deadline)?;
                    return Ok(Change::Everything);
                }
            } {
                if let Some(link) = self.apply(message)? {
                    return Ok(Change::Link(link));
                }
            }
        }
    }

    /// Asks for everything, and again if not all of the answer came.
    pub fn learn(&mut self, deadline: Deadline) -> Result<()> {
        while !self.dump(deadline)? {}
        Ok(())
    }

    fn dump(&mut self, deadline: Deadline) -> Result<bool> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        header.sequence_number = self.sequence;
        let ask = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut ask = NetlinkMessage::new(header, NetlinkPayload::from(ask));
        ask.finalize();
        let mut bytes = vec![0; ask.buffer_len()];
        ask.serialize(&mut bytes);
        let until = self.socket.until(deadline);
        until.send(&bytes, SendFlags::empty()).or_timed_out()?;

        self.links.clear();
        let mut is_whole = true;
        loop {
            let Some(messages) = self.receive(deadline)? else {
                return Ok(false);
            };
            for message in messages {
                let answers = message.header.sequence_number == self.sequence;
                is_whole &= !answers || message.header.flags & DUMP_INTERRUPTED == 0;
                if answers && matches!(message.payload, NetlinkPayload::Done(_)) {
                    return Ok(is_whole);
                }
                self.apply(message)?;
            }
        }
    }

    /// The messages of one datagram. `None` if some have been lost before it.
    fn receive(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<Vec<NetlinkMessage<RouteNetlinkMessage>>>> {
        let bufs = &mut [IoSliceMut::new(&mut self.buf)];
        let received = self
            .socket
            .until(deadline)
            .recv_msg(bufs, RecvFlags::empty());
        let message = match received {
            Io::Err(Errno::NOBUFS) => return Ok(None),
            received => received.or_timed_out()?,
        };
        let sender = message.address.map(SocketAddrAny::from);
        let sender = sender.map(SocketAddrNetlink::try_from);
        let is_kernel = sender.is_some_and(|from| from.is_ok_and(|from| from.pid() == 0));
        if !is_kernel || message.truncated {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut rest = &self.buf[..message.bytes];
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let message = NetlinkMessage::deserialize(rest).map_err(Error::other)?;
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            messages.push(message);
        }
        Ok(Some(messages))
    }

    /// The interface that the message is about.
    fn apply(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> Result<Option<u32>> {
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                let name = link
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        LinkAttribute::IfName(name) => Some(name.clone()),
                        _ => None,
                    });
                let up = link.header.flags.contains(LinkFlags::Up);
                let number = link.header.index;
                self.links.insert(number, (name.unwrap_or_default(), up));
                Ok(Some(number))
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                self.links.remove(&link.header.index);
                Ok(Some(link.header.index))
            }
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Ok(None),
        }
    }
}
