//! Every limit and default, written once: the Rust [`Options`], and the table from which the options of
//! the JavaScript face and their declarations are generated.

use core::fmt;
use core::time::Duration;

/// The longest time that an option takes: what a browser's `setTimeout` can wait, 2³¹ − 1 ms.
pub const MAX_MILLIS: f64 = 2_147_483_647.0;

/// The largest number of bytes or messages that an option takes (2³¹ − 1).
pub const MAX_COUNT: f64 = 2_147_483_647.0;

/// What happens to a message that does not fit into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The new message is refused, and the sender told so.
    #[default]
    Reject,
    /// The oldest messages make room for it and are reported as dropped.
    DropOldest,
    /// The new message is reported as dropped.
    DropNewest,
}

impl Overflow {
    /// The names that the JavaScript face uses, in the order of the numbers in the table.
    pub const NAMES: [&'static str; 3] = ["reject", "drop-oldest", "drop-newest"];
}

/// How an option is given and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole milliseconds.
    Millis,
    /// A whole number.
    Count,
    /// Whole bytes.
    Bytes,
    /// A number that may have a fraction.
    Factor,
    /// `true` or `false`; 1 or 0 in the table.
    Flag,
    /// One of [`Overflow::NAMES`]; its place among them in the table.
    Overflow,
}

impl Kind {
    /// What such an option counts, for messages: ` ms`, ` bytes` or nothing.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Millis => " ms",
            Self::Bytes => " bytes",
            _ => "",
        }
    }
}

/// One row of the table of options.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The name in Rust.
    pub name: &'static str,
    /// The name in JavaScript.
    pub js_name: &'static str,
    /// How it is given and checked.
    pub kind: Kind,
    /// The least value that it takes.
    pub min: f64,
    /// The greatest finite value that it takes.
    pub max: f64,
    /// Whether it may be absent (`None`; in JavaScript `Infinity`), which means without limit.
    pub unlimited: bool,
    /// The value when it is not given.
    pub default: f64,
}

impl OptionSpec {
    /// Whether this row takes `value`.
    #[must_use]
    pub fn accepts(&self, value: f64) -> bool {
        Range {
            whole: self.kind != Kind::Factor,
            min: self.min,
            max: self.max,
            unlimited: self.unlimited,
        }
        .contains(value)
    }
}

/// What a row takes, without its names: a build that never shows them then leaves them out.
struct Range {
    whole: bool,
    min: f64,
    max: f64,
    unlimited: bool,
}

impl Range {
    fn contains(&self, value: f64) -> bool {
        if value == f64::INFINITY {
            return self.unlimited;
        }
        // NaN is in no range, and within them all a whole number is one of 32 bits.
        value >= self.min && value <= self.max && (!self.whole || f64::from(value as u32) == value)
    }
}

/// An option that the library does not take, with what it takes instead.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionError {
    /// The value lies outside the range.
    OutOfRange {
        /// Which option, by its place in [`OPTIONS`].
        index: usize,
        /// The value given, as a number of the option's unit.
        value: f64,
    },
    /// Two options contradict each other: the first may not be greater than the second.
    OutOfOrder {
        /// The option that must not be the greater, by its place in [`OPTIONS`].
        lesser: usize,
        /// Its value.
        lesser_value: f64,
        /// The option that must not be the lesser.
        greater: usize,
        /// Its value.
        greater_value: f64,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfRange { index, value } => {
                let Some(spec) = OPTIONS.get(index) else {
                    return f.write_str("unknown option");
                };
                let unit = spec.kind.unit();
                let whole = if spec.kind == Kind::Factor {
                    "a number"
                } else {
                    "a whole number"
                };
                write!(
                    f,
                    "option {} is {value}{unit}; it takes {whole} from {} to {}{unit}",
                    spec.name, spec.min, spec.max
                )?;
                if spec.unlimited {
                    f.write_str(", or no limit")?;
                }
                Ok(())
            }
            Self::OutOfOrder {
                lesser,
                lesser_value,
                greater,
                greater_value,
            } => {
                let (Some(less), Some(more)) = (OPTIONS.get(lesser), OPTIONS.get(greater)) else {
                    return f.write_str("unknown option");
                };
                write!(
                    f,
                    "option {} is {greater_value}{}, below {}, which is {lesser_value}{}; \
                     it takes at least that",
                    more.name,
                    more.kind.unit(),
                    less.name,
                    less.kind.unit()
                )
            }
        }
    }
}

impl core::error::Error for OptionError {}

/// A type that stands for an option's number in the table.
pub(crate) trait Number: Copy {
    const UNLIMITED: bool = false;
    /// What is kept of it.
    type Kept: Copy;
    fn keep(self) -> Self::Kept;
    fn to_number(kept: Self::Kept) -> f64;
    fn from_number(number: f64) -> Self::Kept;
}

/// Kept in whole milliseconds.
impl Number for Duration {
    type Kept = u64;
    fn keep(self) -> u64 {
        // Rounded up: a positive time never becomes zero.
        let millis = self.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis).unwrap_or(u64::MAX)
    }
    fn to_number(kept: u64) -> f64 {
        kept as f64
    }
    fn from_number(number: f64) -> u64 {
        number as u64
    }
}

impl Number for u32 {
    type Kept = Self;
    fn keep(self) -> Self {
        self
    }
    fn to_number(kept: Self) -> f64 {
        f64::from(kept)
    }
    fn from_number(number: f64) -> Self {
        number as Self
    }
}

impl Number for f64 {
    type Kept = Self;
    fn keep(self) -> Self {
        self
    }
    fn to_number(kept: Self) -> f64 {
        kept
    }
    fn from_number(number: f64) -> Self {
        number
    }
}

impl Number for bool {
    type Kept = Self;
    fn keep(self) -> Self {
        self
    }
    fn to_number(kept: Self) -> f64 {
        f64::from(u8::from(kept))
    }
    fn from_number(number: f64) -> Self {
        number != 0.0
    }
}

impl Number for Overflow {
    type Kept = Self;
    fn keep(self) -> Self {
        self
    }
    fn to_number(kept: Self) -> f64 {
        match kept {
            Self::Reject => 0.0,
            Self::DropOldest => 1.0,
            Self::DropNewest => 2.0,
        }
    }
    fn from_number(number: f64) -> Self {
        match number as u32 {
            0 => Self::Reject,
            1 => Self::DropOldest,
            _ => Self::DropNewest,
        }
    }
}

impl<T: Number> Number for Option<T> {
    const UNLIMITED: bool = true;
    type Kept = Option<T::Kept>;
    fn keep(self) -> Self::Kept {
        self.map(T::keep)
    }
    fn to_number(kept: Self::Kept) -> f64 {
        kept.map_or(f64::INFINITY, T::to_number)
    }
    fn from_number(number: f64) -> Self::Kept {
        number.is_finite().then(|| T::from_number(number))
    }
}

macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident / $js_name:literal: $type:ty, $kind:ident $min:literal..=$max:expr, default $default:expr;
    )+) => {
        /// How a connection behaves. Made by [`Options::default`] and the methods named after the
        /// options; checked when the socket is made.
        ///
        /// ```
        /// use core::time::Duration;
        /// use steady_socket::Options;
        ///
        /// let options = Options::default()
        ///     .max_retries(Some(20))
        ///     .connect_timeout(Duration::from_secs(20));
        /// assert!(options.check().is_ok());
        /// ```
        ///
        /// Where two options are in order (see [`ORDERED`]), one that was not given follows the one that was:
        /// `max_delay` of 2 s alone brings the other delays down to 2 s.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Options {
            $(pub(crate) $name: <$type as Number>::Kept,)+
            /// A bit for each row of [`OPTIONS`] that was given a value.
            given: u64,
        }

        /// The rows of [`OPTIONS`].
        #[expect(non_camel_case_types, reason = "named as the options are")]
        #[derive(Clone, Copy)]
        enum Row {
            $($name,)+
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    $($name: <$type as Number>::from_number($default),)+
                    given: 0,
                }
            }
        }

        impl Options {
            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name.keep();
                    self.given |= 1 << Row::$name as u32;
                    self
                }
            )+

            /// Sets the option in row `index` of [`OPTIONS`] from its number, as a face does that
            /// reads options by name.
            ///
            /// # Errors
            /// When the row does not take the number, or there is no such row.
            pub fn set(&mut self, index: usize, value: f64) -> Result<(), OptionError> {
                if !RANGES.get(index).is_some_and(|range| range.contains(value)) {
                    return Err(OptionError::OutOfRange { index, value });
                }
                let mut row = 0;
                $(
                    if row == index {
                        self.$name = <$type as Number>::from_number(value);
                    }
                    row += 1;
                )+
                let _ = row;
                self.given |= 1 << index;
                Ok(())
            }

            /// The value of every option, in the order of [`OPTIONS`].
            fn numbers(&self) -> [f64; OPTIONS.len()] {
                [$(<$type as Number>::to_number(self.$name),)+]
            }
        }

        /// The table of options.
        pub const OPTIONS: &[OptionSpec] = &[$(
            OptionSpec {
                name: stringify!($name),
                js_name: $js_name,
                kind: Kind::$kind,
                min: $min as f64,
                max: $max as f64,
                unlimited: <$type as Number>::UNLIMITED,
                default: $default,
            },
        )+];

        /// What each row of [`OPTIONS`] does, with its unit and its reason.
        pub const OPTION_DOCS: &[&str] = &[$(concat!($($doc, "\n"),+),)+];

        static RANGES: [Range; OPTIONS.len()] = [$(
            Range {
                whole: !matches!(Kind::$kind, Kind::Factor),
                min: $min as f64,
                max: $max as f64,
                unlimited: <$type as Number>::UNLIMITED,
            },
        )+];
    };
}

options! {
    /// How long a handshake may take. Below 10 s a browser that delays connects after failures (up to
    /// 5 s in Chromium) may never get through.
    connect_timeout / "connectTimeout": Duration, Millis 1..=MAX_MILLIS, default 15_000.0;
    /// How long a function that provides the URL or the sub-protocols may take to settle.
    provider_timeout / "providerTimeout": Duration, Millis 1..=MAX_MILLIS, default 10_000.0;
    /// How long the closing handshake may take after `close()`, counted from the last time that the
    /// browser's buffer shrank. A browser itself waits 20 to 60 s.
    close_timeout / "closeTimeout": Duration, Millis 1..=MAX_MILLIS, default 5_000.0;
    /// The first wait after a loss is drawn between 0 and this, so that clients that lost the same
    /// server do not return together (RFC 6455, section 7.2.3).
    first_delay_max / "firstDelayMax": Duration, Millis 0..=MAX_MILLIS, default 5_000.0;
    /// The least wait before the second and later retries.
    min_delay / "minDelay": Duration, Millis 0..=MAX_MILLIS, default 1_000.0;
    /// The wait before retry n (2, 3, …) is drawn between the least wait and this times the growth
    /// factor to the power of n − 1, or the cap if that is less.
    base_delay / "baseDelay": Duration, Millis 1..=MAX_MILLIS, default 5_000.0;
    /// How much the longest possible wait grows from one retry to the next.
    growth_factor / "growthFactor": f64, Factor 1..=100.0, default 2.0;
    /// The cap on the longest possible wait, applied before the wait is drawn. Given alone, it brings
    /// the other delays down to it where they would be longer.
    max_delay / "maxDelay": Duration, Millis 1..=MAX_MILLIS, default 30_000.0;
    /// How long a connection must stay open before the count of retries starts anew, so that a
    /// server that accepts and closes at once is not hammered.
    stable_after / "stableAfter": Duration, Millis 0..=MAX_MILLIS, default 5_000.0;
    /// How many retries in a row, without a stable connection between them, before it is over.
    max_retries / "maxRetries": Option<u32>, Count 0..=MAX_COUNT, default f64::INFINITY;
    /// Whether a connection that is lost is made again. With `false` the first loss and the first failed attempt
    /// are final, whatever the close code and the server say, and the program's predicate is not asked: as a plain
    /// `WebSocket` behaves, for libraries that make a new one by themselves. `reconnect()` still makes a new
    /// connection, which is again the only one.
    reconnect / "reconnect": bool, Flag 0..=1, default 1.0;
    /// How many attempts may be made at once, whoever asks for them, before the next ones wait.
    attempt_burst / "attemptBurst": u32, Count 1..=MAX_COUNT, default 10.0;
    /// How long it takes until one more attempt may be made, up to the burst. 0 is without limit.
    attempt_interval / "attemptInterval": Duration, Millis 0..=MAX_MILLIS, default 5_000.0;
    /// The longest wait that a server may ask for: by announcing when to come back, or by closing with 1012 or
    /// 1013, which without an announcement ask for 5 to 30 s.
    announced_delay_max / "announcedDelayMax": Duration, Millis 0..=MAX_MILLIS, default 60_000.0;
    /// How long the server may be silent before it is pinged. Where nothing was said to ping with, the
    /// grace begins then: that is for a server which itself sends something that often, since one with
    /// nothing to say would be taken for dead. A server that announces its own heartbeat overrides it,
    /// within 5 to 120 s.
    heartbeat_interval / "heartbeatInterval": Option<Duration>, Millis 1..=MAX_MILLIS, default f64::INFINITY;
    /// How much longer it may be silent before the connection is given up as dead.
    heartbeat_grace / "heartbeatGrace": Duration, Millis 1..=MAX_MILLIS, default 10_000.0;
    /// How often something is sent to the server, whatever it sends: for a server that closes connections on which
    /// it hears nothing. What is sent is a `~ping` where control messages are spoken, else the keepalive message, else
    /// the ping. An answer is not waited for, and without one nothing is judged. Nothing is sent before the gate is
    /// open.
    keepalive_interval / "keepaliveInterval": Option<Duration>, Millis 1..=MAX_MILLIS, default f64::INFINITY;
    /// Whether control messages are spoken when the server has agreed to a sub-protocol whose name ends
    /// with `~1`: its heartbeat, a ping, a window to come back in. They do not reach the application. A text of
    /// its own that starts with `~` is escaped on the way, and arrives as it was given.
    control_messages / "controlMessages": bool, Flag 0..=1, default 0.0;
    /// How long a server that answers pings may take to answer one after the page has woken or the
    /// network has changed.
    probe_timeout / "probeTimeout": Duration, Millis 1..=MAX_MILLIS, default 5_000.0;
    /// How many messages the queue holds.
    max_queued_messages / "maxQueuedMessages": u32, Count 0..=MAX_COUNT, default 1_000.0;
    /// How many bytes the queue holds (text counted as UTF-8).
    max_queued_bytes / "maxQueuedBytes": u32, Bytes 0..=MAX_COUNT, default 16_777_216.0;
    /// What happens to a message that does not fit into the queue.
    overflow / "overflow": Overflow, Overflow 0..=2, default 0.0;
    /// How long a message may wait in the queue before it is dropped and reported.
    message_ttl / "messageTtl": Option<Duration>, Millis 1..=MAX_MILLIS, default f64::INFINITY;
    /// Once the browser holds this many unsent bytes, further messages wait in the queue.
    high_water_mark / "highWaterMark": u32, Bytes 1..=MAX_COUNT, default 1_048_576.0;
    /// They flow again when the browser holds at most this many. It is no more than the high-water mark: where only one
    /// of the two is given, the other follows it.
    low_water_mark / "lowWaterMark": u32, Bytes 0..=MAX_COUNT, default 262_144.0;
    /// The largest message that is taken from the server; a larger one ends the connection before any of
    /// it is copied. Text is measured in UTF-16 code units, since its size in bytes would take a walk
    /// through it.
    max_message_bytes / "maxMessageBytes": Option<u32>, Bytes 1..=MAX_COUNT, default 67_108_864.0;
    /// Whether a page that was loaded over https may connect to a `ws:` URL of another host than
    /// loopback. Browsers refuse it, unless the user has allowed it for the page.
    allow_insecure / "allowInsecure": bool, Flag 0..=1, default 0.0;
    /// Whether the queue waits, after each open, until the application says that it is ready.
    gate / "gate": bool, Flag 0..=1, default 0.0;
    /// Whether the first attempt waits for `reconnect()`.
    start_closed / "startClosed": bool, Flag 0..=1, default 0.0;
}

/// Pairs of options, by JavaScript name, of which the first may not be greater than the second. Where only one of
/// them is given, the other follows it.
pub const ORDERED: [(&str, &str); 4] = [
    ("firstDelayMax", "maxDelay"),
    ("minDelay", "maxDelay"),
    ("baseDelay", "maxDelay"),
    ("lowWaterMark", "highWaterMark"),
];

/// What options of other clients are called here: first ours, by JavaScript name, and then theirs. Names that are near
/// ours, or have all of its words, are left out. `docs/migrating.md` says more.
pub const THEIR_NAMES: &[(&str, &[&str])] = &[
    ("stableAfter", &["minUptime", "stableTimeout"]),
    (
        "growthFactor",
        &["reconnectionDelayGrowFactor", "reconnectDecay"],
    ),
    (
        "baseDelay",
        &["reconnectionDelay", "reconnectInterval", "timeout"],
    ),
    (
        "maxDelay",
        &["maxReconnectInterval", "reconnectionDelayMax"],
    ),
    (
        "maxRetries",
        &[
            "maxAttempts",
            "maxReconnectAttempts",
            "reconnectAttempts",
            "reconnectionAttempts",
        ],
    ),
    ("connectTimeout", &["timeout", "timeoutInterval"]),
    ("startClosed", &["autoConnect", "automaticOpen"]),
    ("heartbeatInterval", &["pingInterval", "keepAlive"]),
];

impl Options {
    const fn is_given(&self, row: Row) -> bool {
        self.given & (1 << row as u32) != 0
    }

    /// With what was not given following what was, in the pairs of [`ORDERED`].
    #[must_use]
    pub fn settled(mut self) -> Self {
        macro_rules! settle {
            ($lesser:ident, $greater:ident) => {
                if self.$lesser > self.$greater {
                    if !self.is_given(Row::$lesser) {
                        self.$lesser = self.$greater;
                    } else if !self.is_given(Row::$greater) {
                        self.$greater = self.$lesser;
                    }
                }
            };
        }
        settle!(first_delay_max, max_delay);
        settle!(min_delay, max_delay);
        settle!(base_delay, max_delay);
        settle!(low_water_mark, high_water_mark);
        self
    }

    /// Checks every option's range, and that no two contradict each other.
    ///
    /// # Errors
    /// The first option that is wrong, with what it takes.
    pub fn check(&self) -> Result<(), OptionError> {
        let numbers = self.settled().numbers();
        for (index, (spec, value)) in OPTIONS.iter().zip(numbers).enumerate() {
            if !spec.accepts(value) {
                return Err(OptionError::OutOfRange { index, value });
            }
        }
        let row = |js_name| {
            OPTIONS
                .iter()
                .zip(numbers)
                .enumerate()
                .find(|(_, (spec, _))| spec.js_name == js_name)
        };
        for (lesser, greater) in ORDERED {
            if let (Some((lesser, (_, lesser_value))), Some((greater, (_, greater_value)))) =
                (row(lesser), row(greater))
                && lesser_value > greater_value
            {
                return Err(OptionError::OutOfOrder {
                    lesser,
                    lesser_value,
                    greater,
                    greater_value,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_accepted() {
        assert_eq!(Options::default().check(), Ok(()));
    }

    #[test]
    fn every_row_takes_its_limits_and_nothing_beyond() {
        for (index, spec) in OPTIONS.iter().enumerate() {
            let mut options = Options::default();
            assert!(options.set(index, spec.min).is_ok(), "{}", spec.name);
            assert!(options.set(index, spec.max).is_ok(), "{}", spec.name);
            for bad in [spec.min - 1.0, spec.max + 1.0, f64::NAN, f64::NEG_INFINITY] {
                assert!(options.set(index, bad).is_err(), "{} took {bad}", spec.name);
            }
            assert_eq!(options.set(index, f64::INFINITY).is_ok(), spec.unlimited);
            if spec.kind != Kind::Factor {
                assert!(options.set(index, spec.min + 0.5).is_err());
            }
        }
    }

    #[test]
    fn setting_a_row_changes_that_option_alone() {
        let before = Options::default().numbers();
        for (index, spec) in OPTIONS.iter().enumerate() {
            let mut options = Options::default();
            let value = if before[index] == spec.min {
                spec.max
            } else {
                spec.min
            };
            options.set(index, value).unwrap();
            for (other, number) in options.numbers().into_iter().enumerate() {
                let expected = if other == index { value } else { before[other] };
                assert_eq!(
                    number, expected,
                    "{} changed {}",
                    spec.name, OPTIONS[other].name
                );
            }
        }
    }

    #[test]
    fn a_cap_below_the_base_is_an_error_that_names_both() {
        let error = Options::default()
            .base_delay(Duration::from_secs(5))
            .max_delay(Duration::from_millis(2_000))
            .check()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "option max_delay is 2000 ms, below base_delay, which is 5000 ms; it takes at least that"
        );
    }

    #[test]
    fn what_was_not_given_follows_what_was() {
        let row = |js_name| {
            OPTIONS
                .iter()
                .position(|spec| spec.js_name == js_name)
                .unwrap()
        };
        for (lesser, greater) in ORDERED {
            let (lesser, greater) = (row(lesser), row(greater));
            // Down, and up.
            for (given, other, value) in [(greater, lesser, 1.0), (lesser, greater, 1e9)] {
                let mut options = Options::default();
                options.set(given, value).unwrap();
                assert_eq!(options.check(), Ok(()), "{}", OPTIONS[given].name);
                let numbers = options.settled().numbers();
                assert_eq!((numbers[given], numbers[other]), (value, value));
            }
            // Both were given, in either order.
            for rows in [[lesser, greater], [greater, lesser]] {
                let mut options = Options::default();
                for row in rows {
                    options
                        .set(row, if row == lesser { 1e9 } else { 1.0 })
                        .unwrap();
                }
                assert!(options.check().is_err());
            }
        }
        // What is in order stays, and what was given last counts.
        let options = Options::default().max_delay(Duration::from_secs(60));
        assert_eq!(options.settled().numbers()[row("baseDelay")], 5_000.0);
        let options = Options::default()
            .max_delay(Duration::from_secs(2))
            .max_delay(Duration::from_secs(20));
        assert_eq!(options.settled().numbers()[row("baseDelay")], 5_000.0);
        // Two of three.
        let options = Options::default()
            .min_delay(Duration::from_secs(40))
            .base_delay(Duration::from_secs(60));
        assert_eq!(options.settled().numbers()[row("maxDelay")], 60_000.0);
    }

    #[test]
    fn no_name_of_other_clients_is_one_of_ours() {
        for (ours, theirs) in THEIR_NAMES {
            assert!(OPTIONS.iter().any(|spec| spec.js_name == *ours), "{ours}");
            for name in *theirs {
                assert!(OPTIONS.iter().all(|spec| spec.js_name != *name), "{name}");
                assert_ne!(ours, name);
            }
        }
    }

    #[test]
    fn a_value_out_of_range_says_what_is_accepted() {
        let error = Options::default().growth_factor(0.5).check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "option growth_factor is 0.5; it takes a number from 1 to 100"
        );
        let error = Options::default()
            .connect_timeout(Duration::ZERO)
            .check()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "option connect_timeout is 0 ms; it takes a whole number from 1 to 2147483647 ms"
        );
        assert!(
            Options::default()
                .message_ttl(Some(Duration::MAX))
                .check()
                .is_err()
        );
    }

    #[test]
    fn ordered_pairs_name_real_options() {
        for (lesser, greater) in ORDERED {
            for name in [lesser, greater] {
                assert!(OPTIONS.iter().any(|spec| spec.js_name == name), "{name}");
            }
        }
    }
}
