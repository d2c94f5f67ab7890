//! From what a vendor said of a package, and the version installed, to a verdict.

use serde::{Deserialize, Serialize};

use crate::advisory::{Channel, Status};

/// What a server's state comes to against one advisory, or in another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// The installed version is mended.
    Fixed,
    /// The vendor says that it is not affected.
    NotAffected,
    /// The vendor will not mend it.
    WontFix,
    /// Affected, and there is no fix yet.
    NoFix,
    /// It cannot be told.
    Unknown,
    /// Affected, and only a subscription brings the fix.
    MissingSubscription,
    /// Affected, and the fix is out for this server.
    Missing,
    /// Nobody mends it any more.
    EndOfSupport,
    /// Something else is owed.
    Owed,
}

impl Verdict {
    /// Returns its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::NotAffected => "not-affected",
            Self::WontFix => "wont-fix",
            Self::NoFix => "no-fix",
            Self::Unknown => "unknown",
            Self::MissingSubscription => "missing-subscription",
            Self::Missing => "missing",
            Self::EndOfSupport => "end-of-support",
            Self::Owed => "owed",
        }
    }

    /// Tells whether it keeps a server from good standing; `strict` counts what has no fix, too.
    pub const fn is_owed(self, strict: bool) -> bool {
        match self {
            Self::Fixed | Self::NotAffected => false,
            Self::NoFix | Self::WontFix => strict,
            Self::Unknown
            | Self::MissingSubscription
            | Self::Missing
            | Self::EndOfSupport
            | Self::Owed => true,
        }
    }
}

/// Where an installed version stands against the versions of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Outside the affected range without being a fix: older than its beginning, newer than its end.
    Outside,
    /// Within the affected range.
    Affected,
    /// At or past the fix.
    Mended,
}

/// Judges one statement about one installed version; `granted` tells whether the server gets the statement's channel.
pub fn judge(
    status: Status,
    has_fix: bool,
    position: Position,
    channel: Channel,
    granted: bool,
) -> Verdict {
    match position {
        Position::Outside => return Verdict::NotAffected,
        Position::Mended if has_fix => return Verdict::Fixed,
        Position::Mended | Position::Affected => {}
    }
    match status {
        Status::NotAffected | Status::DoesNotExist => Verdict::NotAffected,
        Status::Ignored => Verdict::WontFix,
        Status::EndOfLife => Verdict::EndOfSupport,
        Status::Undetermined => Verdict::Unknown,
        _ if !has_fix => Verdict::NoFix,
        _ if channel == Channel::Base || granted => Verdict::Missing,
        _ => Verdict::MissingSubscription,
    }
}

/// Joins what two ranges of one statement say: who is affected by one of them is affected.
pub fn worst(a: Verdict, b: Verdict) -> Verdict {
    const ORDER: [Verdict; 9] = [
        Verdict::Missing,
        Verdict::MissingSubscription,
        Verdict::EndOfSupport,
        Verdict::Unknown,
        Verdict::NoFix,
        Verdict::WontFix,
        Verdict::Owed,
        Verdict::Fixed,
        Verdict::NotAffected,
    ];
    ORDER.into_iter().find(|v| a == *v || b == *v).unwrap_or(a)
}

/// Joins what two channels of one release say of the same package and flaw.
///
/// A fix that is installed ends the matter, from whichever channel it came. Otherwise a fix that can be had counts
/// before one that must be paid for, and both before every word that offers none; a plain "not affected" of the
/// release itself is not undone by a channel that only repeats "affected".
pub fn join(a: Verdict, b: Verdict) -> Verdict {
    const ORDER: [Verdict; 9] = [
        Verdict::Fixed,
        Verdict::Missing,
        Verdict::MissingSubscription,
        Verdict::NotAffected,
        Verdict::NoFix,
        Verdict::WontFix,
        Verdict::Unknown,
        Verdict::EndOfSupport,
        Verdict::Owed,
    ];
    ORDER.into_iter().find(|v| a == *v || b == *v).unwrap_or(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_that_needs_a_subscription_is_missing_until_it_is_attached() {
        let judged =
            |granted| judge(Status::Fixed, true, Position::Affected, Channel::EsmInfra, granted);
        assert_eq!(judged(false), Verdict::MissingSubscription);
        assert_eq!(judged(true), Verdict::Missing);
    }

    #[test]
    fn an_installed_fix_of_any_channel_ends_the_matter() {
        let base = judge(Status::Needed, false, Position::Affected, Channel::Base, true);
        let paid = judge(Status::Fixed, true, Position::Mended, Channel::EsmInfra, false);
        assert_eq!(join(base, paid), Verdict::Fixed);
        assert_eq!(join(paid, base), Verdict::Fixed);
    }

    #[test]
    fn no_vendor_word_becomes_silence() {
        assert_eq!(
            judge(Status::Ignored, false, Position::Affected, Channel::Base, true),
            Verdict::WontFix
        );
        assert_eq!(
            judge(Status::EndOfLife, false, Position::Affected, Channel::Base, true),
            Verdict::EndOfSupport
        );
        assert_eq!(
            judge(Status::NeedsTriage, false, Position::Affected, Channel::Base, true),
            Verdict::NoFix
        );
        assert_eq!(
            judge(Status::Undetermined, false, Position::Affected, Channel::Base, true),
            Verdict::Unknown
        );
    }
}
