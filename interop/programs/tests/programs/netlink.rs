//! In a network of their own, which `unshare` makes: one interface, lo.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkFlags;
use netlink_sys::AsyncSocket;
use programs::netlink::{Change, Links};
use programs::rtnetlink::Netlink;
use rtnetlink::{
    Handle, LinkUnspec, MulticastGroup, new_connection_with_socket,
    new_multicast_connection_with_socket,
};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use wouldblock::Deadline;

use crate::common::{DEADLINE, IDLE, alone, assert_idle_since, idle, thread_time};

const LO: u32 = 1;

/// Runs `body` with a network and a runtime of its own.
fn in_a_network(test: &str, body: impl FnOnce(&Runtime, &LocalSet)) {
    let own = ["unshare", "--map-root-user", "--net"];
    alone(test, &own, || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        body(&runtime, &LocalSet::new());
    });
}

fn deadline() -> Deadline {
    Deadline::after(DEADLINE)
}

/// rtnetlink, on a socket of ours.
async fn connect() -> Handle {
    let (connection, handle, _) = new_connection_with_socket::<Netlink>().unwrap();
    spawn_local(connection);
    handle
}

async fn set(handle: &Handle, up: bool) {
    let link = LinkUnspec::new_with_index(LO);
    let link = if up { link.up() } else { link.down() };
    let set = handle.link().set(link.build()).execute();
    timeout(DEADLINE, set).await.unwrap().unwrap();
}

/// Up and down, so often that no small buffer holds what the kernel says about it.
async fn flood(handle: &Handle) {
    for i in 0..400 {
        set(handle, i % 2 == 0).await;
    }
    set(handle, true).await;
}

fn state(links: &Links) -> (&str, bool) {
    let (name, up) = &links.links[&LO];
    (name, *up)
}

#[test]
fn listener_learns_what_rtnetlink_changes() {
    let test = "netlink::listener_learns_what_rtnetlink_changes";
    in_a_network(test, |runtime, local| {
        let mut links = Links::new().unwrap();
        links.learn(deadline()).unwrap();
        assert_eq!(state(&links), ("lo", false));
        let nothing = idle(|| links.changed(Deadline::after(IDLE))).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::TimedOut);

        let handle = local.block_on(runtime, connect());
        for up in [true, false, true] {
            local.block_on(runtime, set(&handle, up));
            assert_eq!(links.changed(deadline()).unwrap(), Change::Link(LO));
            // Linux says some of it twice.
            while links.changed(Deadline::after(Duration::ZERO)).is_ok() {}
            assert_eq!(state(&links), ("lo", up));
        }
    });
}

#[test]
fn listener_that_was_too_slow_is_told_and_learns_again() {
    let test = "netlink::listener_that_was_too_slow_is_told_and_learns_again";
    in_a_network(test, |runtime, local| {
        let mut links = Links::new().unwrap();
        set_socket_recv_buffer_size(links.socket(), 1).unwrap();
        let handle = local.block_on(runtime, connect());
        local.block_on(runtime, flood(&handle));

        let mut changes = Vec::new();
        while let Ok(change) = links.changed(Deadline::after(Duration::ZERO)) {
            changes.push(change);
        }
        assert!(changes.contains(&Change::Everything), "{changes:?}");
        assert_eq!(state(&links), ("lo", true));
        // And hears what comes next.
        local.block_on(runtime, set(&handle, false));
        assert_eq!(links.changed(deadline()).unwrap(), Change::Link(LO));
        assert_eq!(state(&links), ("lo", false));
    });
}

#[test]
fn rtnetlink_that_was_too_slow_says_overrun_and_goes_on() {
    let test = "netlink::rtnetlink_that_was_too_slow_says_overrun_and_goes_on";
    in_a_network(test, |runtime, local| {
        local.block_on(runtime, async {
            let groups = [MulticastGroup::Link];
            let (mut slow, asking, mut messages) =
                new_multicast_connection_with_socket::<Netlink>(&groups).unwrap();
            set_socket_recv_buffer_size(slow.socket_mut().socket_ref(), 1).unwrap();
            flood(&connect().await).await;

            // Nobody has read until now.
            spawn_local(slow);
            let mut overruns = 0;
            let mut links = 0;
            while let Ok(message) = timeout(IDLE, messages.next()).await {
                match message.expect("the connection lives").0.payload {
                    NetlinkPayload::Overrun(_) => overruns += 1,
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(_)) => links += 1,
                    other => panic!("{other:?}"),
                }
            }
            assert!(
                overruns > 0 && links > 0,
                "{overruns} overruns, {links} links"
            );

            let before = thread_time();
            assert!(timeout(IDLE, messages.next()).await.is_err());
            assert_idle_since(before);

            // What was missed can be asked for on the same connection.
            let mut all = asking.link().get().execute().boxed_local();
            let lo = timeout(DEADLINE, all.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert!(lo.header.flags.contains(LinkFlags::Up));
        });
    });
}
