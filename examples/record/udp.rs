//! UDP over loopback.

use std::io;

use rustix::net::sockopt::socket_send_buffer_size;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, bind, connect};

use crate::Group;
use crate::calls::{recv, send, settle};
use crate::recorder::Recorder;
use crate::sockets::{self, nobody};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("udp.life", "udp", life),
    Group::new("udp.peer_gone", "udp", peer_gone),
    Group::new("udp.refused", "udp", refused),
    Group::new("udp.hiwat", "udp", hiwat),
    Group::new("udp.no_listener", "udp", no_listener),
];

const NONE: SendFlags = SendFlags::empty();

fn udp() -> io::Result<std::os::fd::OwnedFd> {
    sockets::new(AddressFamily::INET, SocketType::DGRAM)
}

fn life(r: &mut Recorder) -> io::Result<()> {
    let receiver = udp()?;
    bind(&receiver, &sockets::ANY)?;
    let address = sockets::address(&receiver)?;
    r.recv("empty.recv", "empty.poll", &receiver, 10);
    r.recv("empty.recv0", "empty.poll", &receiver, 0);
    r.poll("empty.poll", &receiver);
    let sender = udp()?;
    r.send("unconn.send", "", &sender, 1);
    r.connect("connect_nb", "", &sender, &address);
    r.send("send0", "", &sender, 0);
    settle();
    r.poll("send0.poll", &receiver);
    r.recv("send0.recv", "send0.poll", &receiver, 10);
    r.send("send_70000", "", &sender, 70_000);
    r.send("send_65507", "", &sender, 65_507);
    settle();
    let _ = recv(&receiver, 100_000, RecvFlags::empty());
    send(&sender, 5, NONE)?;
    settle();
    r.recv("trunc.recv2", "", &receiver, 2);
    r.recv("trunc.recv_rest", "", &receiver, 10);
    let mut all = true;
    r.call("send", "flood1024", "", || {
        for _ in 0..5000 {
            send(&sender, 1024, NONE).inspect_err(|_| all = false)?;
        }
        Ok(1024)
    });
    r.note(
        "send",
        "flood1024",
        format_args!("n>=5000:{}", u8::from(all)),
    );
    r.poll("flood.poll_sender", &sender);
    Ok(())
}

fn peer_gone(r: &mut Recorder) -> io::Result<()> {
    let (sender, address) = (udp()?, nobody(SocketType::DGRAM)?);
    connect(&sender, &address)?;
    r.send("peer_gone.send", "", &sender, 1);
    settle();
    r.poll("peer_gone.poll", &sender);
    r.recv("peer_gone.recv", "peer_gone.poll", &sender, 10);
    r.recv("peer_gone.recv2", "", &sender, 10);
    let _ = send(&sender, 1, NONE);
    settle();
    r.send("peer_gone.send_after_icmp", "", &sender, 1);
    Ok(())
}

fn refused(r: &mut Recorder) -> io::Result<()> {
    let (sender, address) = (udp()?, nobody(SocketType::DGRAM)?);
    r.connect("refused.connect", "", &sender, &address);
    r.send("refused.send", "", &sender, 1);
    settle();
    r.poll("refused.poll", &sender);
    r.recv("refused.recv", "refused.poll", &sender, 10);
    r.poll("refused.told.poll", &sender);
    r.recv("refused.told.recv", "refused.told.poll", &sender, 10);
    Ok(())
}

/// A datagram as long as the send buffer, alone and with a control message.
fn hiwat(r: &mut Recorder) -> io::Result<()> {
    let receiver = udp()?;
    bind(&receiver, &sockets::ANY)?;
    let sender = udp()?;
    connect(&sender, &sockets::address(&receiver)?)?;
    let size = socket_send_buffer_size(&sender)?;
    r.note("mode", "sndbuf", format_args!("SO_SNDBUF={size}"));
    r.poll("hiwat.poll", &sender);
    r.send("hiwat.send", "hiwat.poll", &sender, size);
    settle();
    control(r, &sender, size);
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn control(r: &mut Recorder, sender: &std::os::fd::OwnedFd, size: usize) {
    use crate::calls::data;
    use crate::lacking::send_with_packet_info as send;

    for (scenario, state, less) in [
        ("hiwat-8.sendmsg_control24", "hiwat.poll2", 8),
        ("hiwat-8.sendmsg_control24_again", "hiwat.poll3", 8),
        ("hiwat-24.sendmsg_control24", "", 24),
    ] {
        if !state.is_empty() {
            r.poll(state, sender);
        }
        let data = data(size.saturating_sub(less));
        r.call("send", scenario, state, || send(sender, data));
        settle();
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn control(_: &mut Recorder, _: &std::os::fd::OwnedFd, _: usize) {}

fn no_listener(r: &mut Recorder) -> io::Result<()> {
    let fd = udp()?;
    bind(&fd, &sockets::ANY)?;
    r.poll("no_listener.poll", &fd);
    r.accept("no_listener.accept", "no_listener.poll", &fd);
    Ok(())
}
