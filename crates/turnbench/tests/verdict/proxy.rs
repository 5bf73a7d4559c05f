//! A slow way to a server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::replay::pause;

/// Passes bytes on, those of the server late; it lives until the test's process ends.
pub(crate) struct SlowProxy {
    port: u16,
}

impl SlowProxy {
    pub(crate) fn start(server: &str, late: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = server.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(&server) else { return };
                let both = || (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let ((from_client, to_server), (to_client, from_server)) = (both(), both());
                for socket in [&to_server, &to_client] {
                    socket.set_nodelay(true).unwrap();
                }
                std::thread::spawn(move || pass_on(from_client, to_server, Duration::ZERO));
                std::thread::spawn(move || pass_on(from_server, to_client, late));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Copies until either side is gone.
fn pass_on(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    let mut buffer = [0; 4_096];
    while let Ok(count) = from.read(&mut buffer) {
        pause(late);
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
