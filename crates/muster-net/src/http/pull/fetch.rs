//! One file: asked for, gone on with, checked, put in its place.
//!
//! The order of things is what makes it safe: conditions first (RFC 9110, section 13), a part only
//! with a validator that ties it to the same bytes (`If-Range`, section 13.1.5), every limit before
//! the byte that would break it, every check before the old file is touched.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};

use sha2::{Digest as _, Sha256};

use super::address::Address;
use super::check::{self, OPENING_BYTES, Opening};
use super::client::{Answer, Client, Deadline, text, validator};
use super::fault::{Fault, Kept, Total, said};
use super::feeds::{Content, is_file_name};
use super::folder::{Folder, Part, PartState, State};
use super::plan::Job;
use super::{Event, Pulled};
use crate::digest::hex;

/// So often is a broken download gone on with before the person is told.
const MAX_TRIES: u32 = 4;
/// Lists of checksums, signatures and names are never larger.
const MAX_SMALL_BYTES: u64 = 1 << 20;
const READ_BYTES: usize = 64 << 10;
/// So much is written before it is made durable and noted.
const DURABLE_EVERY: u64 = 16 << 20;
/// So much comes in before it is told.
const TELL_EVERY: u64 = 256 << 10;

/// What one download needs.
pub(crate) struct Fetch<'a> {
    pub(crate) job: &'a Job,
    pub(crate) folder: &'a Folder,
    pub(crate) client: &'a Client,
    pub(crate) now: &'a str,
    pub(crate) tell: &'a dyn Fn(Event),
}

/// A download that is on the disk, not yet in its place.
struct Got {
    file: File,
    bytes: u64,
    sha256: String,
    state: PartState,
    transferred: u64,
    resumed_at: u64,
}

/// A download under way.
struct Transfer {
    file: File,
    digest: Sha256,
    state: PartState,
    got: u64,
    began_at: u64,
}

impl Fetch<'_> {
    pub(crate) fn run(&self) -> Result<Pulled, Fault> {
        let deadline = Deadline::in_seconds(self.job.max_seconds);
        let address = self.address(&deadline)?;
        let wanted = self.wanted(&address, &deadline)?;
        let present = self.folder.present(&self.job.file);
        let known = self
            .folder
            .known(&self.job.file, present.as_ref())
            .filter(|state| state.url == address.as_str());
        if let (Some(wanted), Some((_, sha256))) = (&wanted, &present)
            && wanted == sha256
        {
            return self.unchanged(&address, present.as_ref(), known, None, &deadline);
        }
        let part = self.folder.part(&self.job.file);
        // What differs from the publisher's checksum is not asked about, it is fetched anew.
        let condition = known.as_ref().filter(|_| wanted.is_none());
        let Some(mut got) =
            self.download(&address, &part, condition, wanted.is_some(), &deadline)?
        else {
            return self.unchanged(&address, present.as_ref(), known, None, &deadline);
        };
        let checked = self.check(&address, &mut got, wanted.as_deref(), &deadline);
        if checked.is_err() || present.as_ref().is_some_and(|(_, sha256)| *sha256 == got.sha256) {
            part.discard(self.folder);
            checked?;
            return self.unchanged(&address, present.as_ref(), known, Some(&got.state), &deadline);
        }
        part.finish(self.folder, &got.file, &self.job.file)?;
        self.folder.remember(&self.job.file, &self.state(&address, &got))?;
        Ok(Pulled::Replaced {
            bytes: got.bytes,
            sha256: got.sha256,
            transferred: got.transferred,
            resumed_at: got.resumed_at,
        })
    }

    fn state(&self, address: &Address, got: &Got) -> State {
        State {
            url: address.as_str().to_owned(),
            format: self.job.format.name().to_owned(),
            etag: got.state.etag.clone(),
            last_modified: got.state.last_modified.clone(),
            bytes: got.bytes,
            sha256: got.sha256.clone(),
            fetched: self.now.to_owned(),
            checked: self.now.to_owned(),
        }
    }

    /// The old file is the newest one: notes that, and holds it against the signature again, since
    /// the key may have been configured after it came.
    fn unchanged(
        &self,
        address: &Address,
        present: Option<&(u64, String)>,
        known: Option<State>,
        answered: Option<&PartState>,
        deadline: &Deadline,
    ) -> Result<Pulled, Fault> {
        let (bytes, sha256) = present.cloned().unwrap_or_default();
        if self.job.signature.is_some() {
            let path = self.folder.file(&self.job.file);
            let mut file = File::open(&path).map_err(|why| self.folder.disk("read", &path, why))?;
            self.check_signature(address, &mut file, deadline)?;
        }
        let mut state = known.unwrap_or_else(|| State {
            url: address.as_str().to_owned(),
            format: self.job.format.name().to_owned(),
            etag: None,
            last_modified: None,
            bytes,
            sha256,
            fetched: self.now.to_owned(),
            checked: String::new(),
        });
        if let Some(answered) = answered {
            state.etag.clone_from(&answered.etag);
            state.last_modified.clone_from(&answered.last_modified);
        }
        self.now.clone_into(&mut state.checked);
        self.folder.remember(&self.job.file, &state)?;
        Ok(Pulled::Unchanged { bytes, fetched: state.fetched })
    }

    /// The address, once the publisher has said which file is the latest.
    fn address(&self, deadline: &Deadline) -> Result<Address, Fault> {
        let latest = match &self.job.latest {
            Some(source) => {
                let list = self.parsed(&source.text, source.plain, "latest")?;
                let name = self.small(&list, source.plain, deadline)?;
                let name = name.trim();
                if !is_file_name(name) {
                    let address = list.shown().to_owned();
                    return Err(Fault::BadLatest { address, text: said(name) });
                }
                name.to_owned()
            }
            None => String::new(),
        };
        let url = &self.job.url;
        self.parsed(&url.text.replace("{latest}", &latest), url.plain, "url")
    }

    fn parsed(&self, text: &str, plain: bool, key: &str) -> Result<Address, Fault> {
        Address::parse_allowed(text, plain).map_err(|why| Fault::BadAddress {
            place: format!("`{key}` of the feed {}", self.job.feed),
            why,
        })
    }

    /// The sha256 that the publisher gives, in small letters.
    fn wanted(&self, address: &Address, deadline: &Deadline) -> Result<Option<String>, Fault> {
        let Some(source) = &self.job.checksum else { return Ok(None) };
        let text = source.text.replace("{url}", address.as_str());
        let list = self.parsed(&text, source.plain, "checksum")?;
        let text = self.small(&list, source.plain, deadline)?;
        match check::find_sha256(&text, address.file_name()) {
            Some(digest) => Ok(Some(digest)),
            None => Err(Fault::NoChecksum {
                list: list.shown().to_owned(),
                file: address.file_name().to_owned(),
            }),
        }
    }

    /// Fetches a small text whole.
    fn small(&self, address: &Address, plain: bool, deadline: &Deadline) -> Result<String, Fault> {
        let answer = self.client.get(address, plain, &[], deadline)?;
        if answer.status != 200 {
            return Err(answer.refused());
        }
        let shown = address.shown().to_owned();
        if answer.is_web_page() {
            return Err(Fault::WebPage { address: shown, expected: "text" });
        }
        if let Some(encoding) = answer.encoding() {
            return Err(Fault::Encoding { address: shown, encoding: said(&encoding) });
        }
        let mut bytes = Vec::new();
        let at = answer.address;
        let total = answer.body.content_length();
        let mut reader = answer.body.into_reader().take(MAX_SMALL_BYTES + 1);
        if let Err(error) = reader.read_to_end(&mut bytes) {
            let got = length(bytes.len());
            return Err(self.client.explain_body(error, &at, deadline, (got, total), Kept(0)));
        }
        let got = length(bytes.len());
        if got > MAX_SMALL_BYTES {
            return Err(Fault::TooLarge { address: shown, bytes: got, limit: MAX_SMALL_BYTES });
        }
        String::from_utf8(bytes).map_err(|_| Fault::NotThat { address: shown, expected: "text" })
    }

    /// Fetches the file; nothing, if the publisher says that the old one is still the newest.
    fn download(
        &self,
        address: &Address,
        part: &Part,
        known: Option<&State>,
        has_checksum: bool,
        deadline: &Deadline,
    ) -> Result<Option<Got>, Fault> {
        let mut left = part.left(self.folder, address.as_str());
        let mut transferred = 0;
        let mut tries = 0;
        loop {
            tries += 1;
            if left.is_none() {
                part.discard(self.folder);
            }
            let headers = match &left {
                Some(left) => range(left),
                None => conditions(known),
            };
            let answer = self.client.get(address, self.job.url.plain, &headers, deadline)?;
            let transfer = match (answer.status, left.take()) {
                (200, _) => self.begin(address, &answer, part, has_checksum)?,
                (304, None) if known.is_some() => return Ok(None),
                (206, Some(left)) => match same_file(&left, &answer) {
                    Ok(total) => self.go_on(left, total, &answer, part)?,
                    Err(why) if tries >= MAX_TRIES => {
                        part.discard(self.folder);
                        return Err(Fault::BadPart { address: address.shown().to_owned(), why });
                    }
                    // Asked for whole the next time, since `left` is now empty.
                    Err(_) => continue,
                },
                (206, None) => {
                    let why = "a part was not asked for".to_owned();
                    return Err(Fault::BadPart { address: address.shown().to_owned(), why });
                }
                (416, Some(_)) if tries < MAX_TRIES => continue,
                _ => return Err(answer.refused()),
            };
            let began_at = transfer.began_at;
            match self.receive(transfer, answer, part, deadline, &mut transferred) {
                Ok(got) => return Ok(Some(got)),
                Err(fault @ Fault::BrokeOff { kept: Kept(kept), .. })
                    if kept > began_at && tries < MAX_TRIES =>
                {
                    left = part.left(self.folder, address.as_str());
                    if left.is_none() {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn begin(
        &self,
        url: &Address,
        answer: &Answer,
        part: &Part,
        has_checksum: bool,
    ) -> Result<Transfer, Fault> {
        let total = answer.body.content_length();
        self.acceptable(answer, 0, total)?;
        let content = self.job.content;
        if !(answer.is_framed() || has_checksum || check::shows_its_end(content)) {
            let address = answer.address.shown().to_owned();
            return Err(Fault::NoLength { address, expected: content.name() });
        }
        let state = PartState {
            url: url.as_str().to_owned(),
            etag: validator(&answer.headers, "etag"),
            last_modified: validator(&answer.headers, "last-modified"),
            total,
            durable: 0,
        };
        let file = part.begin(self.folder, &state)?;
        Ok(Transfer { file, digest: Sha256::new(), state, got: 0, began_at: 0 })
    }

    fn go_on(
        &self,
        left: PartState,
        total: u64,
        answer: &Answer,
        part: &Part,
    ) -> Result<Transfer, Fault> {
        self.acceptable(answer, left.durable, Some(total))?;
        let (file, digest) = part.go_on(self.folder, left.durable)?;
        let (got, began_at) = (left.durable, left.durable);
        Ok(Transfer {
            file,
            digest,
            state: PartState { total: Some(total), ..left },
            got,
            began_at,
        })
    }

    /// Refuses by the head of the answer alone what can be refused by it.
    fn acceptable(&self, answer: &Answer, from: u64, total: Option<u64>) -> Result<(), Fault> {
        let address = answer.address.shown().to_owned();
        if answer.is_web_page() {
            return Err(Fault::WebPage { address, expected: self.job.content.name() });
        }
        if let Some(encoding) = answer.encoding()
            && !is_own_form(self.job.content, &encoding)
        {
            return Err(Fault::Encoding { address, encoding: said(&encoding) });
        }
        let Some(total) = total else { return Ok(()) };
        if total > self.job.max_bytes {
            return Err(Fault::TooLarge { address, bytes: total, limit: self.job.max_bytes });
        }
        let needed = total.saturating_sub(from);
        match self.folder.free() {
            Some(free) if free < needed => Err(Fault::NoRoom { address, needed, free }),
            _ => Ok(()),
        }
    }

    /// Reads the body into the part, within every limit.
    fn receive(
        &self,
        mut transfer: Transfer,
        answer: Answer,
        part: &Part,
        deadline: &Deadline,
        transferred: &mut u64,
    ) -> Result<Got, Fault> {
        let address = answer.address;
        let total = transfer.state.total;
        (self.tell)(self.progress(transfer.got, total));
        let mut reader = answer.body.into_reader();
        let mut buffer = vec![0; READ_BYTES];
        let mut opening = Vec::new();
        let mut told = transfer.got;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    let kept = self.keep(&mut transfer, part);
                    let progress = (transfer.got, total);
                    return Err(self
                        .client
                        .explain_body(error, &address, deadline, progress, kept));
                }
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            *transferred = transferred.saturating_add(length(read));
            transfer.got = transfer.got.saturating_add(length(read));
            if transfer.got > self.job.max_bytes || total.is_some_and(|t| transfer.got > t) {
                part.discard(self.folder);
                let limit = total.unwrap_or(self.job.max_bytes).min(self.job.max_bytes);
                let address = address.shown().to_owned();
                return Err(Fault::TooLarge { address, bytes: transfer.got, limit });
            }
            if let Err(fault) = self.look_at_opening(&mut opening, &transfer, bytes, &address) {
                part.discard(self.folder);
                return Err(fault);
            }
            if let Err(why) = transfer.file.write_all(bytes) {
                // A part that cannot grow is of no use, and its room is needed.
                part.discard(self.folder);
                return Err(self.folder.disk("write", &part.path, why));
            }
            transfer.digest.update(bytes);
            if transfer.got.saturating_sub(transfer.state.durable) >= DURABLE_EVERY {
                self.keep(&mut transfer, part);
            }
            if transfer.got.saturating_sub(told) >= TELL_EVERY {
                told = transfer.got;
                (self.tell)(self.progress(told, total));
            }
            if deadline.left().is_none() {
                let kept = self.keep(&mut transfer, part);
                return Err(self.client.too_slow(&address, deadline, kept));
            }
        }
        if total.is_some_and(|total| transfer.got < total) {
            let kept = self.keep(&mut transfer, part);
            let (address, total) = (address.shown().to_owned(), Total(total));
            return Err(Fault::BrokeOff { address, got: transfer.got, total, kept });
        }
        (self.tell)(self.progress(transfer.got, total));
        Ok(Got {
            file: transfer.file,
            bytes: transfer.got,
            sha256: hex(transfer.digest),
            state: transfer.state,
            transferred: *transferred,
            resumed_at: transfer.began_at,
        })
    }

    /// Refuses a web page as soon as it shows, not after a gigabyte of it.
    fn look_at_opening(
        &self,
        opening: &mut Vec<u8>,
        transfer: &Transfer,
        bytes: &[u8],
        address: &Address,
    ) -> Result<(), Fault> {
        if transfer.began_at > 0 || opening.len() >= OPENING_BYTES {
            return Ok(());
        }
        opening.extend(bytes.iter().take(OPENING_BYTES - opening.len()));
        if opening.len() < OPENING_BYTES {
            return Ok(());
        }
        self.judge_opening(opening, address)
    }

    fn judge_opening(&self, opening: &[u8], address: &Address) -> Result<(), Fault> {
        let (address, expected) = (address.shown().to_owned(), self.job.content.name());
        match check::opening(self.job.content, opening) {
            Opening::AsExpected => Ok(()),
            Opening::WebPage => Err(Fault::WebPage { address, expected }),
            Opening::SomethingElse => Err(Fault::NotThat { address, expected }),
        }
    }

    /// Makes what came so far durable, if a later request can go on from it, and says how much.
    fn keep(&self, transfer: &mut Transfer, part: &Part) -> Kept {
        if transfer.state.strong().is_none() || transfer.file.sync_data().is_err() {
            return Kept(0);
        }
        let durable = PartState { durable: transfer.got, ..transfer.state.clone() };
        if part.note(self.folder, &durable).is_err() {
            return Kept(0);
        }
        transfer.state = durable;
        Kept(transfer.got)
    }

    /// Holds the finished download against everything that can be known of it.
    fn check(
        &self,
        address: &Address,
        got: &mut Got,
        wanted: Option<&str>,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let shown = address.shown().to_owned();
        if got.bytes == 0 {
            return Err(Fault::Empty { address: shown });
        }
        let path = self.folder.part(&self.job.file).path;
        let disk = |why| self.folder.disk("read", &path, why);
        let mut opening = Vec::new();
        got.file.seek(SeekFrom::Start(0)).map_err(disk)?;
        let looked_at = (&mut got.file).take(length(OPENING_BYTES)).read_to_end(&mut opening);
        looked_at.map_err(disk)?;
        self.judge_opening(&opening, address)?;
        let content = self.job.content;
        if !check::has_its_end(content, &mut got.file, got.bytes).map_err(disk)? {
            return Err(Fault::Cut { address: shown, expected: content.name() });
        }
        if let Some(wanted) = wanted
            && wanted != got.sha256
        {
            let source = self.job.checksum.as_ref().map_or("", |source| source.text.as_str());
            return Err(Fault::WrongChecksum {
                list: source.replace("{url}", &shown),
                address: shown,
                got: got.sha256.clone(),
                wanted: wanted.to_owned(),
            });
        }
        self.check_signature(address, &mut got.file, deadline)
    }

    fn check_signature(
        &self,
        address: &Address,
        file: &mut File,
        deadline: &Deadline,
    ) -> Result<(), Fault> {
        let Some((source, key)) = &self.job.signature else { return Ok(()) };
        let url = source.text.replace("{url}", address.as_str());
        let url = self.parsed(&url, source.plain, "signature")?;
        let text = self.small(&url, source.plain, deadline)?;
        check::signature(key, &text, file).map_err(|why| Fault::WrongSignature {
            address: address.shown().to_owned(),
            signature: url.shown().to_owned(),
            why,
        })
    }

    fn progress(&self, bytes: u64, total: Option<u64>) -> Event {
        Event::Received { feed: self.job.feed.clone(), file: self.job.file.clone(), bytes, total }
    }
}

/// Asks only for what is newer than the old file (RFC 9110, sections 13.1.2 and 13.1.3).
fn conditions(known: Option<&State>) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let Some(known) = known else { return headers };
    if let Some(etag) = &known.etag {
        headers.push(("if-none-match", etag.clone()));
    }
    if let Some(date) = &known.last_modified {
        headers.push(("if-modified-since", date.clone()));
    }
    headers
}

/// Asks for the rest of what is there in part.
fn range(left: &PartState) -> Vec<(&'static str, String)> {
    let mut headers = vec![("range", format!("bytes={}-", left.durable))];
    if let Some(validator) = left.strong() {
        headers.push(("if-range", validator.to_owned()));
    }
    headers
}

/// Whether a partial answer goes on exactly where the part ends, in the same file; returns its
/// whole length.
fn same_file(left: &PartState, answer: &Answer) -> Result<u64, String> {
    let range = text(&answer.headers, "content-range").unwrap_or_default();
    let Some((first, last, total)) = content_range(range) else {
        return Err(format!("its Content-Range is `{}`", said(range)));
    };
    if first != left.durable {
        return Err(format!("it begins at {first} and not at {}", left.durable));
    }
    if last.checked_add(1) != Some(total) {
        return Err(format!("it ends at {last} of {total}"));
    }
    if left.total.is_some_and(|known| known != total) {
        return Err(format!("the file now has {total} bytes"));
    }
    if answer.body.content_length().is_some_and(|length| length != total - first) {
        return Err("its length is not that of its range".to_owned());
    }
    let etag = validator(&answer.headers, "etag");
    if etag.is_some() && etag != left.etag {
        return Err("its ETag is another one".to_owned());
    }
    let date = validator(&answer.headers, "last-modified");
    if date.is_some() && left.last_modified.is_some() && date != left.last_modified {
        return Err("its date is another one".to_owned());
    }
    Ok(total)
}

/// Reads `bytes FIRST-LAST/TOTAL` (RFC 9110, section 14.4).
fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last: u64 = last.parse().ok()?;
    let total: u64 = total.trim().parse().ok()?;
    (first <= last && last < total).then_some((first, last, total))
}

/// Some servers name the form of a packed file as the encoding of the answer: it is the file's own.
fn is_own_form(content: Content, encoding: &str) -> bool {
    match content {
        Content::Gzip => matches!(encoding, "gzip" | "x-gzip"),
        Content::Bzip2 => matches!(encoding, "bzip2" | "x-bzip2"),
        Content::Xz => matches!(encoding, "xz" | "x-xz"),
        Content::Zstd => encoding == "zstd",
        Content::Json | Content::Text | Content::Zip => false,
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
