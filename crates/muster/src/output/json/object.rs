//! A JSON object, written as it comes (RFC 8259): keys of our own, texts of anybody.
//!
//! A report has thousands of objects of twenty fields each, and four in five bytes are keys and names that need no
//! escape: they are looked at once and copied. What does need one, and every nested value, is written by `serde_json`.

use serde::Serialize;

/// A key between a comma and a colon, made by [`key!`] where the program is compiled.
#[derive(Clone, Copy)]
pub(crate) struct Key(pub(crate) &'static str);

/// Makes a key of a word in which nothing needs an escape.
macro_rules! key {
    ($word:literal) => {
        $crate::output::json::object::Key(concat!(",\"", $word, "\":"))
    };
}
pub(crate) use key;

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

impl<'o> Object<'o> {
    /// Begins an object at the end of `out`.
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, any: false }
    }

    /// Ends it.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a key; its value follows.
    pub(crate) fn key(&mut self, key: Key) -> &mut Vec<u8> {
        let comma = usize::from(!self.any);
        self.out.extend_from_slice(key.0.as_bytes().get(comma..).unwrap_or_default());
        self.any = true;
        self.out
    }

    /// Writes a word of ours, in which nothing needs an escape.
    pub(crate) fn word(&mut self, key: Key, word: &'static str) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }

    /// Writes a text.
    pub(crate) fn text(&mut self, key: Key, value: &str) {
        text(self.key(key), value);
    }

    /// Writes a text, or null.
    pub(crate) fn perhaps(&mut self, key: Key, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.key(key).extend_from_slice(b"null"),
        }
    }

    /// Writes true or false.
    pub(crate) fn is(&mut self, key: Key, value: bool) {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Writes a list of texts.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, key: Key, values: &[T]) {
        list(self.key(key), values, |out, value| text(out, value.as_ref()));
    }

    /// Writes any other value.
    pub(crate) fn value<T: Serialize>(&mut self, key: Key, value: &T) {
        serde(self.key(key), value);
    }
}

/// Writes a list, each of its values by `one`.
pub(crate) fn list<T>(out: &mut Vec<u8>, values: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        one(out, value);
    }
    out.push(b']');
}

/// Writes a text between quotation marks.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    // Without a way out of the loop the compiler looks at many bytes at once.
    let needs_escape =
        value.bytes().fold(false, |any, b| any | (b < b' ') | (b == b'"') | (b == b'\\'));
    if needs_escape {
        serde(out, value);
    } else {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
}

fn serde<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("memory takes every byte, and our values have texts for keys");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_serde_reads() {
        let hostile = ["", "curl", "a\"b", "a\\b", "a\nb", "\u{0}\u{1b}[31m", "\u{7f}\u{2028}é𝄞"];
        for value in hostile {
            let mut out = Vec::new();
            let mut object = Object::begin(&mut out);
            object.text(key!("text"), value);
            object.perhaps(key!("perhaps"), Some(value));
            object.perhaps(key!("none"), None);
            object.is(key!("yes"), true);
            object.word(key!("word"), "fixed");
            object.texts(key!("list"), &hostile);
            object.value(key!("nested"), &Some((1.5, value)));
            object.end();
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let meant = serde_json::json!({
                "text": value, "perhaps": value, "none": null, "yes": true, "word": "fixed", "list": hostile, "nested": [1.5, value],
            });
            assert_eq!(read, meant);
        }
        let mut out = Vec::new();
        Object::begin(&mut out).end();
        assert_eq!(out, b"{}");
    }
}
