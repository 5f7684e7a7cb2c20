//! Functions that are generic over `AsFd` can call the operations, although those
//! ask for a `Descriptor`.

use wouldblock::{AsFd, Deadline, Inline, Interest, Io, NonBlocking, PollSet, pipe, read};

fn by_value<Fd: AsFd>(fd: Fd) -> Io {
    read(fd, &mut [0; 8])
}

fn by_reference<Fd>(fd: &Fd) -> Io
where
    for<'a> &'a Fd: AsFd,
{
    read(fd, &mut [0; 8])
}

fn in_a_set<Fd: AsFd>(fd: Fd) -> Io {
    let mut set: PollSet<NonBlocking<Fd>, (), Inline<1>> = PollSet::new();
    let fd = NonBlocking::new(fd).unwrap();
    set.register(fd, Interest::READABLE, ()).unwrap();
    set.select(Deadline::from(Some(std::time::Duration::ZERO)))
}

fn main() {
    let (reader, _writer) = pipe().unwrap();
    assert_eq!(by_value(&reader), Io::WouldBlock);
    assert_eq!(by_reference(&reader), Io::WouldBlock);
    assert_eq!(in_a_set(&reader), Io::WouldBlock);
}
