//! The other end of a Unix socket, from the kernel's socket diagnostics (man 7 `sock_diag`; `net/unix/diag.c`).

use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with, sockopt,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;
/// `UDIAG_SHOW_PEER`
const SHOW_PEER: u32 = 4;
/// `UNIX_DIAG_PEER`
const PEER: u16 = 2;
/// Timeout; normally the kernel answers at once.
const PATIENCE: Duration = Duration::from_millis(20);

/// `struct nlmsghdr`
#[derive(IntoBytes, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Head {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
}

/// With `struct unix_diag_req`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Request {
    head: Head,
    family: u8,
    protocol: u8,
    pad: u16,
    states: u32,
    inode: u32,
    show: u32,
    cookie: [u32; 2],
}

/// With `struct unix_diag_msg`.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Answer {
    head: Head,
    family: u8,
    socket_type: u8,
    state: u8,
    pad: u8,
    inode: u32,
    cookie: [u32; 2],
}

/// The inode of the socket that this one is connected to. `None` if it is not a Unix socket, is not connected, or
/// belongs to another network namespace, which the kernel does not show.
pub(super) fn peer(inode: u64) -> Option<u64> {
    let inode = u32::try_from(inode).ok()?;
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG)).ok()?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE)).ok()?;
    let request = Request {
        head: Head { length: size_of::<Request>() as u32, kind: BY_FAMILY, flags: REQUEST, sequence: 1, port: 0 },
        family: AddressFamily::UNIX.as_raw() as u8,
        protocol: 0,
        pad: 0,
        states: u32::MAX,
        inode,
        show: SHOW_PEER,
        // No cookie is requested.
        cookie: [u32::MAX; 2],
    };
    send(&socket, request.as_bytes(), SendFlags::empty()).ok()?;
    let mut buffer = [0; 1024];
    let (length, _) = recv(&socket, &mut buffer, RecvFlags::empty()).ok()?;
    parse(buffer.get(..length)?, inode)
}

/// The attribute with the peer in an answer about this socket.
fn parse(bytes: &[u8], inode: u32) -> Option<u64> {
    let (answer, mut attributes) = Answer::read_from_prefix(bytes).ok()?;
    if answer.head.kind != BY_FAMILY || answer.inode != inode {
        return None;
    }
    // Each attribute is its length, type and value, padded to four bytes.
    while let [a, b, c, d, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([c, d]) == PEER {
            return Some(u32::from_ne_bytes(value.try_into().ok()?).into()).filter(|&peer| peer != 0);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::{
        fd::{AsFd, BorrowedFd},
        unix::net::{UnixDatagram, UnixStream},
    };

    use super::*;

    fn inode(socket: BorrowedFd<'_>) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn the_other_end_of_a_pair_is_found_and_gone_when_it_is_closed() {
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(peer(inode(near.as_fd())), Some(inode(far.as_fd())));
        assert_eq!(peer(inode(far.as_fd())), Some(inode(near.as_fd())));
        drop(far);
        assert_eq!(peer(inode(near.as_fd())), None);
    }

    #[test]
    fn what_is_not_connected_or_no_unix_socket_has_no_other_end() {
        assert_eq!(peer(inode(UnixDatagram::unbound().unwrap().as_fd())), None);
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(peer(inode(other.as_fd())), None);
        assert_eq!(peer(u64::MAX), None);
    }

    #[test]
    fn an_answer_that_is_cut_or_about_another_tells_nothing() {
        let mut bytes = vec![0; 32];
        bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        bytes[20..24].copy_from_slice(&7u32.to_ne_bytes());
        let peer = [8u16.to_ne_bytes(), PEER.to_ne_bytes()].concat();
        bytes.extend([&peer[..], &9u32.to_ne_bytes()].concat());
        assert_eq!((parse(&bytes, 7), parse(&bytes, 8)), (Some(9), None));
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length], 7), None, "{length}");
        }
        bytes[32..34].copy_from_slice(&0u16.to_ne_bytes());
        assert_eq!(parse(&bytes, 7), None);
    }
}
