//! Text that somebody else wrote, made safe for the place it goes to.
//!
//! Names, versions and words come from servers that may be in an intruder's hands and from feeds. Nothing of them
//! reaches a terminal or a log but through [`for_terminal`].

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::Write as _;

/// Returns the text with everything escaped that a terminal would obey, a log would break at, or a reader be misled by.
///
/// Control characters (C0, C1, DEL), and the characters of Unicode that turn the direction of writing or are
/// invisible, become `\u{…}`. Plain text comes back as it is.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("a string takes text");
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Tells the characters that are obeyed or hide: controls, marks of direction, zero-width and line separators.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::for_terminal;

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        assert_eq!(for_terminal("curl"), "curl");
        assert_eq!(for_terminal("Zoë's"), "Zoë's");
        assert_eq!(for_terminal("a\u{1b}]0;x\u{7}"), "a\\u{1b}]0;x\\u{7}");
        assert_eq!(for_terminal("a\nb\u{202e}c"), "a\\u{a}b\\u{202e}c");
    }
}
