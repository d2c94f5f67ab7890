//! A small HTTP/1.1 server on loopback, plain or with TLS, that says exactly what a test has it
//! say. It keeps every request that it saw.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// In small letters.
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What answers: the request and where to write.
pub(crate) type Handler = dyn Fn(&Request, &mut dyn Stream) + Send + Sync;

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Request>>>,
    most_at_once: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(
        handler: impl Fn(&Request, &mut dyn Stream) + Send + Sync + 'static,
    ) -> Self {
        Self::run(None, Arc::new(handler))
    }

    pub(crate) fn start_tls(
        config: rustls::ServerConfig,
        handler: impl Fn(&Request, &mut dyn Stream) + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(Arc::new(config)), Arc::new(handler))
    }

    fn run(tls: Option<Arc<rustls::ServerConfig>>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let most_at_once = Arc::new(AtomicUsize::new(0));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let thread = std::thread::spawn({
            let (seen, stop, most) =
                (Arc::clone(&seen), Arc::clone(&stop), Arc::clone(&most_at_once));
            let now = Arc::new(AtomicUsize::new(0));
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let (seen, tls, handler) =
                        (Arc::clone(&seen), tls.clone(), Arc::clone(&handler));
                    let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                    std::thread::spawn(move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        answer(stream, tls, &seen, &*handler);
                        now.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { address, scheme, seen, most_at_once, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Answers one request and closes: no test depends on a connection that is used twice.
fn answer(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    seen: &Mutex<Vec<Request>>,
    handler: &Handler,
) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_nodelay(true).unwrap();
    match tls {
        None => talk(stream, seen, handler),
        Some(config) => {
            let session = rustls::ServerConnection::new(config).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream);
            talk(&mut stream, seen, handler);
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
    }
}

fn talk(mut stream: impl Stream, seen: &Mutex<Vec<Request>>, handler: &Handler) {
    let Some(request) = read_request(&mut stream) else { return };
    seen.lock().unwrap().push(request.clone());
    handler(&request, &mut stream);
    drop(stream.flush());
}

fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 << 10 || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Request { method, target, headers })
}

/// Writes, and does not mind a client that has had enough.
pub(crate) fn say(out: &mut dyn Stream, text: impl AsRef<[u8]>) -> bool {
    out.write_all(text.as_ref()).and_then(|()| out.flush()).is_ok()
}

/// A complete answer with a length.
pub(crate) fn reply(out: &mut dyn Stream, status: u16, headers: &str, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    let _ = say(out, head) && say(out, body);
}

/// Waits without an event to wait for: the server's own slowness.
pub(crate) fn dawdle(time: Duration) {
    let (hold, wait) = channel::<()>();
    assert!(wait.recv_timeout(time).is_err());
    drop(hold);
}
