//! Closes a listener without resetting a connection.
//!
//! Closing a listening socket resets every connection that is not accepted yet,
//! although its client may have sent a request already. So the kernel first
//! stops new handshakes, then all connections are accepted that have begun
//! theirs, and only then is the socket closed. A client whose first packet was
//! dropped meanwhile sends it again after a second, and is refused.
#![allow(unsafe_code, reason = "setsockopt has no safe wrapper for filters")]

use std::io;
use std::mem::size_of;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::from_ref;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, SO_ATTACH_FILTER,
    SOL_SOCKET, sock_filter, sock_fprog, socklen_t,
};
use rustix::net::{SocketFlags, accept_with};

/// The offset of the flags in a TCP header. A handshake begins with SYN alone.
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// Drops the packets that begin a handshake, and passes all others.
const NO_NEW_HANDSHAKE: [sock_filter; 5] = [
    instruction(BPF_LD | BPF_B | BPF_ABS, FLAGS, 0),
    instruction(BPF_ALU | BPF_AND | BPF_K, SYN | ACK, 0),
    // If it is not equal, the next instruction is skipped.
    instruction(BPF_JMP | BPF_JEQ | BPF_K, SYN, 1),
    instruction(BPF_RET | BPF_K, 0, 0),
    instruction(BPF_RET | BPF_K, u32::MAX, 0),
];

const fn instruction(code: u32, k: u32, skipped: u8) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: skipped, k }
}

/// Stops new handshakes on a listening socket. Its connections inherit the
/// filter, which does not affect them.
///
/// # Errors
/// The kernel refused the filter.
pub(super) fn stop_handshakes(listener: &impl AsFd) -> io::Result<()> {
    let program = sock_fprog {
        len: NO_NEW_HANDSHAKE.len() as u16,
        filter: NO_NEW_HANDSHAKE.as_ptr().cast_mut(),
    };
    // SAFETY: the program and its instructions are valid for the call, which
    // copies them and writes to neither.
    let set = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            SOL_SOCKET,
            SO_ATTACH_FILTER,
            from_ref(&program).cast(),
            size_of::<sock_fprog>() as socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Accepts the connections that wait at a listener, which does not block. It
/// asks the kernel: the event loop may not know of the last ones yet.
pub(super) fn rest(listener: &impl AsFd) -> impl Iterator<Item = TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    std::iter::from_fn(move || accept_with(listener, flags).ok().map(TcpStream::from))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_connected_is_served_and_nothing_else_connects() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().expect("it has an address");
            let mut clients: Vec<_> = (0..20)
                .map(|_| TcpStream::connect(address).expect("the backlog has room"))
                .collect();
            stop_handshakes(&listener).expect("the kernel filters");
            let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
            assert_eq!(late.expect_err("it is dropped").kind(), io::ErrorKind::TimedOut);

            listener.set_nonblocking(true).expect("it can");
            let accepted: Vec<_> = rest(&listener).collect();
            assert_eq!(accepted.len(), clients.len());
            drop(listener);
            for (mut client, mut server) in clients.drain(..).zip(accepted) {
                server.set_nonblocking(false).expect("it can");
                let mut byte = [0];
                client.write_all(b"?").expect("it is connected");
                server.read_exact(&mut byte).expect("it is connected");
                server.write_all(b"!").expect("it is connected");
                client.read_exact(&mut byte).expect("it is connected");
            }
            let late = TcpStream::connect(address).expect_err("nothing listens");
            assert_eq!(late.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}
