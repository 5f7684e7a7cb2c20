//! Against a small server, which knows a property, an event and DRI3's descriptors.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use programs::x11::Stream;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_getfd};
use wouldblock::{Errno, Io, NonBlocking, OwnedFd, RecvFlags, Retry, SendFlags, send_fds};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectionError, ParseError, ReplyError};
use x11rb::protocol::dri3::{self, BuffersFromPixmapReply, ConnectionExt as _, OpenReply};
use x11rb::protocol::xproto::{
    AtomEnum, ConnectionExt as _, ExposeEvent, GetInputFocusReply, GetPropertyReply, PropMode,
    QueryExtensionReply, Screen, Setup, SetupRequest,
};
use x11rb::protocol::{Event, Request};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use x11rb::x11_utils::{
    BigRequests, ExtInfoProvider, ExtensionInformation, Serialize, TryParse, parse_request_header,
};

use crate::common::{DEADLINE, IDLE, assert_same, idle, pattern, raise_descriptor_limit};

const DRI3: ExtensionInformation = ExtensionInformation {
    major_opcode: 128,
    first_event: 0,
    first_error: 0,
};

struct Extensions;

impl ExtInfoProvider for Extensions {
    fn get_from_major_opcode(&self, opcode: u8) -> Option<(&str, ExtensionInformation)> {
        (opcode == DRI3.major_opcode).then_some((dri3::X11_EXTENSION_NAME, DRI3))
    }
    fn get_from_event_code(&self, _: u8) -> Option<(&str, ExtensionInformation)> {
        None
    }
    fn get_from_error_code(&self, _: u8) -> Option<(&str, ExtensionInformation)> {
        None
    }
}

/// A file that says which it is.
fn numbered(number: usize) -> OwnedFd {
    let mut file = File::from(memfd_create("numbered", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(number.to_string().as_bytes()).unwrap();
    file.into()
}

fn number(fd: &OwnedFd) -> usize {
    assert_eq!(fcntl_getfd(fd), Ok(FdFlags::CLOEXEC));
    let mut text = [0; 8];
    let n = rustix::io::pread(fd, &mut text, 0).unwrap();
    std::str::from_utf8(&text[..n]).unwrap().parse().unwrap()
}

struct Server {
    socket: NonBlocking<UnixStream>,
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    property: Vec<u8>,
    /// Of the descriptors that came.
    numbers: Vec<usize>,
}

impl Server {
    /// False when the client has gone.
    fn receive(&mut self) -> bool {
        let mut buf = [0; 4096];
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let until = self.socket.until(DEADLINE);
        let fds = &mut self.fds;
        let message = until.recv_fds_with(bufs, RecvFlags::empty(), |fd| fds.push(fd));
        let message = message.or_timed_out().unwrap();
        assert!(!message.descriptors_lost);
        self.bytes.extend_from_slice(&buf[..message.bytes]);
        message.bytes > 0
    }

    fn send(&mut self, mut bytes: &[u8], fds: &[OwnedFd]) {
        let until = self.socket.until(DEADLINE);
        if !fds.is_empty() {
            let sent = until.retry(Retry::Send, |fd| {
                let fds = fds.iter().map(AsFd::as_fd);
                send_fds(fd, &[IoSlice::new(bytes)], fds, SendFlags::empty())
            });
            bytes = &bytes[sent.or_timed_out().unwrap()..];
        }
        match until.send_all(&mut bytes, SendFlags::empty()) {
            // It has gone, as the next read will say.
            Io::Ready(()) | Io::Err(Errno::PIPE) => {}
            answer => panic!("{answer:?}"),
        }
    }

    fn serve(mut self) -> Self {
        loop {
            match SetupRequest::try_parse(&self.bytes) {
                Ok((_, rest)) => break self.bytes = rest.to_vec(),
                Err(ParseError::InsufficientData) => assert!(self.receive()),
                Err(error) => panic!("{error}"),
            }
        }
        let mut setup = Setup {
            status: 1,
            protocol_major_version: 11,
            resource_id_mask: 0xffff,
            maximum_request_length: u16::MAX,
            roots: vec![Screen::default()],
            ..Setup::default()
        };
        setup.length = (setup.serialize().len() / 4 - 2).try_into().unwrap();
        self.send(&setup.serialize(), &[]);

        let mut sequence = 0_u16;
        loop {
            let length = match parse_request_header(&self.bytes, BigRequests::NotEnabled) {
                Ok((header, _)) => 4 + 4 * header.remaining_length as usize,
                Err(_) => 4,
            };
            if self.bytes.len() < length {
                if self.receive() {
                    continue;
                }
                return self;
            }
            let rest = self.bytes.split_off(length);
            let request = std::mem::replace(&mut self.bytes, rest);
            sequence = sequence.wrapping_add(1);
            self.answer(&request, sequence);
        }
    }

    fn answer(&mut self, request: &[u8], sequence: u16) {
        let (header, body) = parse_request_header(request, BigRequests::NotEnabled).unwrap();
        let (reply, fds) = match Request::parse(header, body, &mut self.fds, &Extensions).unwrap() {
            Request::QueryExtension(request) => {
                let reply = QueryExtensionReply {
                    sequence,
                    present: *request.name == *dri3::X11_EXTENSION_NAME.as_bytes(),
                    major_opcode: DRI3.major_opcode,
                    ..QueryExtensionReply::default()
                };
                (reply.serialize().to_vec(), vec![])
            }
            Request::GetInputFocus(_) => {
                let reply = GetInputFocusReply {
                    sequence,
                    ..GetInputFocusReply::default()
                };
                (reply.serialize().to_vec(), vec![])
            }
            Request::ChangeProperty(request) => {
                self.property.extend_from_slice(&request.data);
                return;
            }
            Request::GetProperty(_) => {
                let length = self.property.len() as u32;
                let reply = GetPropertyReply {
                    format: 8,
                    sequence,
                    length: length.div_ceil(4),
                    value_len: length,
                    value: self.property.clone(),
                    ..GetPropertyReply::default()
                };
                (reply.serialize(), vec![])
            }
            // An event, later.
            Request::NoOperation(_) => {
                thread::sleep(IDLE);
                let event = ExposeEvent {
                    response_type: 12,
                    sequence,
                    ..ExposeEvent::default()
                };
                (event.serialize().to_vec(), vec![])
            }
            Request::Dri3Open(_) => {
                let reply = OpenReply {
                    nfd: 1,
                    sequence,
                    length: 0,
                    device_fd: numbered(7),
                };
                (reply.serialize().to_vec(), vec![reply.device_fd])
            }
            Request::Dri3BuffersFromPixmap(request) => {
                let count = request.pixmap as usize;
                let reply = BuffersFromPixmapReply {
                    sequence,
                    length: 2 * request.pixmap,
                    width: 0,
                    height: 0,
                    modifier: 0,
                    depth: 0,
                    bpp: 0,
                    strides: vec![0; count],
                    offsets: vec![0; count],
                    buffers: (0..count).map(numbered).collect(),
                };
                (reply.serialize(), reply.buffers)
            }
            Request::Dri3FenceFromFD(request) => {
                self.numbers.push(number(&request.fence_fd));
                return;
            }
            request => panic!("{request:?}"),
        };
        let mut reply = reply;
        reply.resize(reply.len().max(32).next_multiple_of(4), 0);
        self.send(&reply, &fds);
    }
}

type X11 = RustConnection<Stream>;

/// Runs `body` with a client; returns the server after its end.
fn with_server(patience: Duration, body: impl FnOnce(&X11)) -> Server {
    raise_descriptor_limit();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = Server {
        socket: NonBlocking::new(theirs).unwrap(),
        bytes: Vec::new(),
        fds: Vec::new(),
        property: Vec::new(),
        numbers: Vec::new(),
    };
    thread::scope(|scope| {
        let server = scope.spawn(|| server.serve());
        let stream = Stream::new(ours, patience).unwrap();
        let client = RustConnection::connect_to_stream(stream, 0).unwrap();
        body(&client);
        drop(client);
        server.join().unwrap()
    })
}

#[test]
fn descriptors_of_replies_arrive_as_many_as_a_message_carries() {
    with_server(DEADLINE, |client| {
        let device = client.dri3_open(1, 0).unwrap().reply().unwrap().device_fd;
        assert_eq!(number(&device), 7);
        for count in [0, 1, 252, 253] {
            let reply = client.dri3_buffers_from_pixmap(count).unwrap();
            let buffers = reply.reply().unwrap().buffers;
            let numbers: Vec<_> = buffers.iter().map(number).collect();
            assert!(numbers.into_iter().eq(0..count as usize), "{count}");
        }
    });
}

/// The client puts the descriptors of many requests into one message.
#[test]
fn descriptors_of_requests_arrive_in_order_also_more_than_a_message_carries() {
    let server = with_server(DEADLINE, |client| {
        for i in 0..600 {
            client
                .dri3_fence_from_fd(1, i, false, numbered(i as usize))
                .unwrap();
        }
        client.sync().unwrap();
    });
    assert!(server.numbers.into_iter().eq(0..600));
    assert!(server.fds.is_empty());
}

/// More in both directions than is between them: who only writes would wait for ever.
#[test]
fn requests_and_replies_of_megabytes_both_ways_at_once_arrive() {
    let bytes = pattern(1, 16 << 20);
    let window = 1;
    let part = 200 * 1024;
    let server = with_server(DEADLINE, |client| {
        let (name, kind) = (AtomEnum::WM_NAME, AtomEnum::STRING);
        let mut replies = Vec::new();
        for part in bytes.chunks(part) {
            client
                .change_property8(PropMode::APPEND, window, name, kind, part)
                .unwrap();
            // Every tenth: they hold everything before.
            if replies.len() < 8 {
                let reply = client.get_property(false, window, name, kind, 0, u32::MAX);
                replies.push(reply.unwrap());
            }
        }
        for (i, reply) in replies.into_iter().enumerate() {
            let value = reply.reply().unwrap().value;
            assert_same(&value, &bytes[..(i + 1) * part]);
        }
    });
    assert_same(&server.property, &bytes);
}

#[test]
fn wait_for_an_event_takes_no_time_and_ends_with_it() {
    with_server(DEADLINE, |client| {
        client.no_operation().unwrap();
        client.flush().unwrap();
        let event = idle(|| client.wait_for_event()).unwrap();
        assert!(matches!(event, Event::Expose(_)), "{event:?}");
    });
}

#[test]
fn wait_for_a_server_that_does_not_answer_ends_on_time() {
    with_server(IDLE / 4, |client| {
        client.no_operation().unwrap();
        let start = Instant::now();
        let error = idle(|| client.get_input_focus().unwrap().reply()).unwrap_err();
        assert!(start.elapsed() >= IDLE / 4);
        let ReplyError::ConnectionError(ConnectionError::IoError(error)) = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

struct Xvfb(Child);

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A real server, and shared memory of its making.
#[test]
#[ignore = "wants Xvfb, of Debian's package xvfb"]
fn descriptors_to_and_from_xvfb_are_the_same_memory() {
    use x11rb::protocol::shm::ConnectionExt as _;
    let server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .spawn();
    let mut server = Xvfb(server.unwrap());
    let out = NonBlocking::new(server.0.stdout.take().unwrap()).unwrap();
    let mut display = String::new();
    let mut out = BufReader::new(out.until(DEADLINE).std_io());
    out.read_line(&mut display).unwrap();
    let socket = UnixStream::connect(format!("/tmp/.X11-unix/X{}", display.trim())).unwrap();
    let stream = Stream::new(socket, DEADLINE).unwrap();
    let client = RustConnection::connect_to_stream(stream, 0).unwrap();
    assert!(client.extension_information("MIT-SHM").unwrap().is_some());
    let root = client.setup().roots[0].root;
    let black = client.setup().roots[0].black_pixel;

    // From the server: what it draws into its segment is seen here.
    let segment = client.generate_id().unwrap();
    let reply = client
        .shm_create_segment(segment, 4096, false)
        .unwrap()
        .reply()
        .unwrap();
    let pixels = |id| {
        client
            .shm_get_image(root, 0, 0, 16, 16, !0, 2, id, 0)
            .unwrap()
            .reply()
    };
    pixels(segment).unwrap();
    let mut here = [0xff; 1024];
    rustix::io::pread(&reply.shm_fd, &mut here, 0).unwrap();
    assert!(
        here.chunks(4)
            .all(|pixel| pixel[..3] == black.to_ne_bytes()[..3])
    );

    // To the server.
    let memory = memfd_create("segment", MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    rustix::io::pwrite(&memory, &[0xff; 1024], 0).unwrap();
    let segment = client.generate_id().unwrap();
    let ours = rustix::io::dup(&memory).unwrap();
    client
        .shm_attach_fd(segment, ours, false)
        .unwrap()
        .check()
        .unwrap();
    pixels(segment).unwrap();
    let mut there = [0xff; 1024];
    rustix::io::pread(&memory, &mut there, 0).unwrap();
    assert_eq!(here, there);
}
