//! `chrono`: leaves. Only the offset of a `DateTime` may be a type of users.

use crate::trace::impls::leaf;
use chrono::{
    DateTime, Days, FixedOffset, IsoWeek, Month, Months, NaiveDate, NaiveDateTime, NaiveTime, NaiveWeek, TimeDelta,
    TimeZone, Utc, Weekday,
};

leaf! {
    {Tz: TimeZone<Offset: Send> + 'static} DateTime<Tz>,
    {} NaiveDate, {} NaiveTime, {} NaiveDateTime, {} NaiveWeek, {} IsoWeek,
    {} TimeDelta, {} Days, {} Months, {} Month, {} Weekday,
    {} Utc, {} FixedOffset,
}
