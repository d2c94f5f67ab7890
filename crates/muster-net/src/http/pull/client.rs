//! One request at a time, within limits: what `ureq` does for a pull and what it may not.
//!
//! Redirects are followed here and not by the library, because each hop is judged: never from
//! https to http, never to an address with credentials, five at most. No compression is asked for,
//! no cookie is kept, no environment is read. A proxy is used for everything but this machine and
//! the hosts that are excepted.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use ureq::Agent;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Body, Proxy, Timeout};

use super::address::{Address, BadAddress, is_excepted};
use super::fault::{Fault, Kept, Total, said, status_words};
use super::feeds::Settings;

const MAX_REDIRECTS: u32 = 5;
/// The head of an answer is never larger.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Longest validator that is kept and sent back.
const MAX_VALIDATOR_BYTES: usize = 256;

/// The proxies that the environment of the process names; this crate does not read it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `HTTPS_PROXY`, else `https_proxy`, else `ALL_PROXY`, else `all_proxy`.
    pub proxy: Option<String>,
    /// `NO_PROXY`, else `no_proxy`.
    pub no_proxy: Option<String>,
}

/// When a whole download must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Duration,
    pub(crate) seconds: u64,
}

impl Deadline {
    pub(crate) fn in_seconds(seconds: u32) -> Self {
        let seconds = u64::from(seconds);
        Self { end: monotonic().saturating_add(Duration::from_secs(seconds)), seconds }
    }

    /// What is left, or nothing.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.end.checked_sub(monotonic()).filter(|left| !left.is_zero())
    }
}

/// The clock that only runs forward: it bounds a wait and never becomes a date.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Asks servers.
#[derive(Debug)]
pub(crate) struct Client {
    direct: Agent,
    proxied: Option<Agent>,
    proxy_shown: String,
    no_proxy: String,
    idle_seconds: u64,
}

/// What a server answered, its body not yet read.
pub(crate) struct Answer {
    pub(crate) address: Address,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Why no client can be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read `ca_file` {path}: {why}")]
    CaFile { path: String, why: std::io::Error },
    #[error("`ca_file` {path} holds no certificate in PEM form")]
    NoCertificate { path: String },
    #[error("the proxy of the environment is not an http or https address; correct HTTPS_PROXY")]
    Proxy,
}

impl Client {
    pub(crate) fn new(
        settings: &Settings,
        environment: &Environment,
        version: &str,
    ) -> Result<Self, ClientError> {
        let tls = tls(settings)?;
        let own = settings.proxy.as_ref().map(toml::Spanned::get_ref);
        let proxy = match own.or(environment.proxy.as_ref()) {
            Some(text) if !text.is_empty() => Some(proxy(text)?),
            _ => None,
        };
        let no_proxy = settings.no_proxy.as_ref().or(environment.no_proxy.as_ref());
        let agent = |proxy: Option<Proxy>| -> Agent {
            Agent::config_builder()
                .proxy(proxy)
                .tls_config(tls.clone())
                .user_agent(format!("muster/{version}"))
                .accept_encoding("identity")
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_response_header_size(MAX_HEAD_BYTES)
                .timeout_connect(Some(seconds(*settings.connect_seconds.get_ref())))
                .timeout_per_read(Some(seconds(*settings.idle_seconds.get_ref())))
                .timeout_per_write(Some(seconds(*settings.idle_seconds.get_ref())))
                .build()
                .new_agent()
        };
        Ok(Self {
            direct: agent(None),
            proxy_shown: proxy
                .as_ref()
                .map_or_else(String::new, |proxy| format!("{}:{}", proxy.host(), proxy.port())),
            proxied: proxy.map(|proxy| agent(Some(proxy))),
            no_proxy: no_proxy.cloned().unwrap_or_default(),
            idle_seconds: u64::from(*settings.idle_seconds.get_ref()),
        })
    }

    /// Asks for an address and follows its redirects; `plain` allows http beyond this machine.
    pub(crate) fn get(
        &self,
        address: &Address,
        plain: bool,
        headers: &[(&'static str, String)],
        deadline: &Deadline,
    ) -> Result<Answer, Fault> {
        let mut at = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let (parts, body) = self.ask(&at, headers, deadline)?.into_parts();
            let status = parts.status.as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer { address: at, status, headers: parts.headers, body });
            }
            at = redirected(&at, text(&parts.headers, "location").unwrap_or_default(), plain)?;
        }
        Err(Fault::RedirectLoop { address: address.shown().to_owned(), limit: MAX_REDIRECTS })
    }

    fn ask(
        &self,
        address: &Address,
        headers: &[(&'static str, String)],
        deadline: &Deadline,
    ) -> Result<Response<Body>, Fault> {
        let Some(left) = deadline.left() else {
            return Err(self.too_slow(address, deadline, Kept(0)));
        };
        let agent = self.agent_for(address);
        let mut request = agent.get(address.as_str()).config().timeout_global(Some(left)).build();
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.call().map_err(|error| self.explain(error, address, deadline, (0, None), Kept(0)))
    }

    fn agent_for(&self, address: &Address) -> &Agent {
        match &self.proxied {
            Some(agent) if self.is_proxied(address) => agent,
            _ => &self.direct,
        }
    }

    fn is_proxied(&self, address: &Address) -> bool {
        self.proxied.is_some()
            && !address.is_loopback()
            && !is_excepted(&self.no_proxy, address.host())
    }

    pub(crate) fn too_slow(&self, address: &Address, deadline: &Deadline, kept: Kept) -> Fault {
        Fault::TooSlow { address: address.shown().to_owned(), seconds: deadline.seconds, kept }
    }

    /// Says what an error in the middle of a body means.
    pub(crate) fn explain_body(
        &self,
        error: std::io::Error,
        address: &Address,
        deadline: &Deadline,
        progress: (u64, Option<u64>),
        kept: Kept,
    ) -> Fault {
        self.explain(ureq::Error::from(error), address, deadline, progress, kept)
    }

    fn explain(
        &self,
        error: ureq::Error,
        address: &Address,
        deadline: &Deadline,
        (got, total): (u64, Option<u64>),
        kept: Kept,
    ) -> Fault {
        let shown = address.shown().to_owned();
        match error {
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                Fault::Silent { address: shown, seconds: self.idle_seconds, kept }
            }
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => Fault::Unreachable {
                address: shown,
                why: "no connection came about in time".to_owned(),
            },
            ureq::Error::Timeout(_) => self.too_slow(address, deadline, kept),
            ureq::Error::HostNotFound => Fault::UnknownHost { address: shown },
            ureq::Error::ConnectProxyFailed(why) => {
                Fault::Proxy { proxy: self.proxy_shown.clone(), address: shown, why: said(&why) }
            }
            ureq::Error::Rustls(why) => Fault::Tls { address: shown, why: said(&why.to_string()) },
            ureq::Error::Tls(why) => Fault::Tls { address: shown, why: why.to_owned() },
            ureq::Error::LargeResponseHeader(..) => Fault::Protocol {
                address: shown,
                why: format!("the head of the answer is larger than {MAX_HEAD_BYTES} bytes"),
            },
            ureq::Error::Io(why) => self.explain_io(&why, address, (got, total), kept),
            ureq::Error::ConnectionFailed if self.is_proxied(address) => Fault::Proxy {
                proxy: self.proxy_shown.clone(),
                address: shown,
                why: "it could not be reached".to_owned(),
            },
            other if got > 0 && matches!(other, ureq::Error::Protocol(_)) => Fault::Protocol {
                address: shown,
                why: format!("{} after {got} bytes", said(&other.to_string())),
            },
            other => Fault::Protocol { address: shown, why: said(&other.to_string()) },
        }
    }

    fn explain_io(
        &self,
        why: &std::io::Error,
        address: &Address,
        (got, total): (u64, Option<u64>),
        kept: Kept,
    ) -> Fault {
        let shown = address.shown().to_owned();
        let text = said(&why.to_string());
        match why.kind() {
            std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe => {
                Fault::BrokeOff { address: shown, got, total: Total(total), kept }
            }
            std::io::ErrorKind::InvalidData => Fault::Tls { address: shown, why: text },
            _ if self.is_proxied(address) => {
                Fault::Proxy { proxy: self.proxy_shown.clone(), address: shown, why: text }
            }
            _ => Fault::Unreachable { address: shown, why: text },
        }
    }
}

/// Where a redirect leads, if it may be followed.
fn redirected(at: &Address, location: &str, plain: bool) -> Result<Address, Fault> {
    let bad = |why: BadAddress| Fault::BadRedirect {
        address: at.shown().to_owned(),
        to: said(location),
        why,
    };
    let to = at.join(location).map_err(bad)?;
    if at.is_https() && !to.is_https() {
        return Err(Fault::Downgrade { address: at.shown().to_owned(), to: said(to.shown()) });
    }
    if to.is_https() || to.is_loopback() || plain { Ok(to) } else { Err(bad(BadAddress::Plain)) }
}

fn tls(settings: &Settings) -> Result<TlsConfig, ClientError> {
    let Some(path) = &settings.ca_file else { return Ok(TlsConfig::default()) };
    let pem = std::fs::read(path).map_err(|why| ClientError::CaFile { path: path.clone(), why })?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let Ok(PemItem::Certificate(certificate)) = item {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(ClientError::NoCertificate { path: path.clone() });
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build())
}

fn proxy(text: &str) -> Result<Proxy, ClientError> {
    let proxy = Proxy::new(text).map_err(|_| ClientError::Proxy)?;
    match proxy.uri().scheme_str() {
        Some("http" | "https") => Ok(proxy),
        _ => Err(ClientError::Proxy),
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

/// A header, if it is there and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An `ETag` or `Last-Modified` that can be stored and sent back as it came.
pub(crate) fn validator(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = text(headers, name)?.trim();
    let fits = !value.is_empty() && value.len() <= MAX_VALIDATOR_BYTES;
    (fits && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))).then(|| value.to_owned())
}

impl Answer {
    /// The fault that a status other than success is.
    pub(crate) fn refused(&self) -> Fault {
        let wait = text(&self.headers, "retry-after").map(|wait| {
            let wait = wait.trim();
            let is_seconds = !wait.is_empty() && wait.bytes().all(|byte| byte.is_ascii_digit());
            if is_seconds { format!("{} s", said(wait)) } else { format!("until {}", said(wait)) }
        });
        Fault::Status {
            address: self.address.shown().to_owned(),
            status: self.status,
            what: status_words(self.status),
            wait: wait.filter(|_| matches!(self.status, 429 | 503)),
        }
    }

    /// Whether the server itself calls its answer a page for people.
    pub(crate) fn is_web_page(&self) -> bool {
        let kind = text(&self.headers, "content-type").unwrap_or_default().to_ascii_lowercase();
        kind.starts_with("text/html") || kind.starts_with("application/xhtml")
    }

    /// The encoding that was put around the content, if any (RFC 9110, section 8.4).
    pub(crate) fn encoding(&self) -> Option<String> {
        let encoding = text(&self.headers, "content-encoding")?.trim().to_ascii_lowercase();
        (!encoding.is_empty() && encoding != "identity").then_some(encoding)
    }

    /// Whether the framing of the answer shows where it ends.
    pub(crate) fn is_framed(&self) -> bool {
        self.body.content_length().is_some()
            || text(&self.headers, "transfer-encoding")
                .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }
}
