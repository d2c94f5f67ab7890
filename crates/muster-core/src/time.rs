//! Instants and days, as data: nothing here asks what time it is.

pub use jiff::Timestamp as Instant;
pub use jiff::civil::Date;

/// Returns the day an instant falls on in UTC.
pub fn day(at: Instant) -> Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Returns the whole days from one day to another, negative when `to` lies before `from`.
pub fn days_between(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
}

/// Returns a day as a count from 1970-01-01, the form in which tables keep it.
pub fn to_day_number(date: Date) -> i32 {
    (date - Date::constant(1970, 1, 1)).get_days()
}

/// Returns the day that `to_day_number` counted, or nothing when it lies outside the calendar.
pub fn from_day_number(number: i32) -> Option<Date> {
    Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(number).ok()?).ok()
}
