//! Every limit and default, written once: the Rust [`Options`], and the table from which the JavaScript options and
//! their declarations are generated.

use core::fmt;
use core::time::Duration;

/// The TypeScript declarations that all classes for JavaScript share.
#[doc(hidden)]
pub const DECLARATIONS: &str = include_str!("declarations.d.ts");

/// The longest time that an option accepts: the longest timeout of a browser's `setTimeout`, 2³¹ − 1 ms.
pub const MAX_MILLIS: f64 = 2_147_483_647.0;

/// The largest number of bytes or messages that an option accepts (2³¹ − 1).
pub const MAX_COUNT: f64 = 2_147_483_647.0;

/// What happens to a message that does not fit into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The new message is refused, and the sender gets an error.
    #[default]
    Reject,
    /// The oldest messages make room for it and are reported as dropped.
    DropOldest,
    /// The new message is reported as dropped.
    DropNewest,
}

impl Overflow {
    /// The JavaScript names, in the order of the numbers in the table.
    pub const NAMES: [&'static str; 3] = ["reject", "drop-oldest", "drop-newest"];
}

/// How an option is specified and checked.
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
    /// One of [`Overflow::NAMES`]; its index among them in the table.
    Overflow,
}

impl Kind {
    /// The unit for messages: ` ms`, ` bytes` or nothing.
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
    /// How it is specified and checked.
    pub kind: Kind,
    /// The least value that it accepts.
    pub min: f64,
    /// The greatest finite value that it accepts.
    pub max: f64,
    /// Whether it may be absent (`None`; in JavaScript `Infinity`), which means without limit.
    pub unlimited: bool,
    /// The value when it is not given.
    pub default: f64,
}

impl OptionSpec {
    /// Whether this row accepts `value`.
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

/// The range of a row, without its names, so that a build that never shows names leaves them out.
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
        // NaN is in no range, and every whole number within the ranges fits in 32 bits.
        value >= self.min && value <= self.max && (!self.whole || f64::from(value as u32) == value)
    }
}

/// An invalid option, with the accepted values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionError {
    /// The value lies outside the range.
    OutOfRange {
        /// Which option, by its index in [`OPTIONS`].
        index: usize,
        /// The value, in the option's unit.
        value: f64,
    },
    /// Two options contradict each other: the first must not exceed the second.
    OutOfOrder {
        /// The option that must be the smaller, by its index in [`OPTIONS`].
        lesser: usize,
        /// Its value.
        lesser_value: f64,
        /// The option that must be the greater.
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

/// What is kept of an option without a limit.
const UNLIMITED: u64 = u64::MAX;

/// A type of an option's values, which are all kept in one form: whole milliseconds, counts, or the bits of a fraction.
pub(crate) trait Number: Copy {
    const UNLIMITED: bool = false;
    /// The form in which the core reads it.
    type Read: Copy;
    fn keep(self) -> u64;
    fn read(kept: u64) -> Self::Read;
}

/// Read in whole milliseconds.
impl Number for Duration {
    type Read = u64;
    fn keep(self) -> u64 {
        // Rounded up: a positive time never becomes zero.
        let millis = self.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis).unwrap_or(u64::MAX).min(UNLIMITED - 1)
    }
    fn read(kept: u64) -> u64 {
        kept
    }
}

impl Number for u32 {
    type Read = Self;
    fn keep(self) -> u64 {
        self.into()
    }
    fn read(kept: u64) -> Self {
        kept as Self
    }
}

impl Number for f64 {
    type Read = Self;
    fn keep(self) -> u64 {
        self.to_bits()
    }
    fn read(kept: u64) -> Self {
        Self::from_bits(kept)
    }
}

impl Number for bool {
    type Read = Self;
    fn keep(self) -> u64 {
        self.into()
    }
    fn read(kept: u64) -> Self {
        kept != 0
    }
}

impl Number for Overflow {
    type Read = Self;
    fn keep(self) -> u64 {
        self as u64
    }
    fn read(kept: u64) -> Self {
        match kept {
            0 => Self::Reject,
            1 => Self::DropOldest,
            _ => Self::DropNewest,
        }
    }
}

impl<T: Number> Number for Option<T> {
    const UNLIMITED: bool = true;
    type Read = Option<T::Read>;
    fn keep(self) -> u64 {
        self.map_or(UNLIMITED, T::keep)
    }
    fn read(kept: u64) -> Self::Read {
        (kept != UNLIMITED).then(|| T::read(kept))
    }
}

/// What is kept of a number of the table: infinity becomes [`UNLIMITED`].
const fn kept(number: f64, row: usize) -> u64 {
    if row == Row::growth_factor as usize {
        number.to_bits()
    } else {
        number as u64
    }
}

/// The reverse of [`kept`].
const fn number(kept: u64, row: usize) -> f64 {
    if row == Row::growth_factor as usize {
        f64::from_bits(kept)
    } else if kept == UNLIMITED {
        f64::INFINITY
    } else {
        kept as f64
    }
}

/// The number of a default in the table.
macro_rules! default_number {
    (none) => {
        f64::INFINITY
    };
    ($number:tt) => {
        $number as f64
    };
}

/// How the documentation shows a default.
macro_rules! default_text {
    ($kind:ident none) => {
        "no limit"
    };
    (Flag 0) => {
        "`false`"
    };
    (Flag 1) => {
        "`true`"
    };
    (Overflow 0) => {
        "[`Overflow::Reject`]"
    };
    (Millis $number:tt) => {
        concat!($number, " ms")
    };
    (Bytes $number:tt) => {
        concat!($number, " bytes")
    };
    ($kind:ident $number:tt) => {
        stringify!($number)
    };
}

macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident / $js_name:literal: $type:ty, $kind:ident $min:literal..=$max:expr, default $default:tt;
    )+) => {
        /// How a connection behaves. Created by [`Options::default`] and the methods named after the options; checked
        /// when the socket is made.
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
        /// If two options are ordered (see [`ORDERED`]), one that was not given follows the one that was: `max_delay`
        /// of 2 s alone lowers the other delays to 2 s.
        #[derive(Clone, Copy, PartialEq)]
        pub struct Options {
            /// In the order of the table: a table is copied, filled and compared by less code than fields of many types.
            kept: [u64; OPTIONS.len()],
            /// One bit for each row of [`OPTIONS`] that was given a value.
            given: u64,
        }

        /// The values of the options, as the core reads them.
        #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "the Rust face alone reads some"))]
        pub(crate) struct Values {
            $(pub(crate) $name: <$type as Number>::Read,)+
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
                    kept: [$(const { kept(default_number!($default), Row::$name as usize) },)+],
                    given: 0,
                }
            }
        }

        impl Options {
            $(
                $(#[doc = $doc])+
                ///
                #[doc = concat!("The default is ", default_text!($kind $default), ".")]
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.kept[Row::$name as usize] = $name.keep();
                    self.given |= 1 << Row::$name as u32;
                    self
                }
            )+

            /// The server spreads its clients' first waits over this many milliseconds. A program's own choice stands.
            pub(crate) fn spread_first_wait(&mut self, max_ms: u64) {
                let row = Row::first_delay_max;
                if !self.is_given(row) {
                    self.kept[row as usize] = max_ms.min(self.values().announced_delay_max);
                }
            }

            /// Every value. The compiler leaves out those that the caller does not use.
            #[inline(always)]
            pub(crate) fn values(&self) -> Values {
                Values {
                    $($name: <$type as Number>::read(self.kept[Row::$name as usize]),)+
                }
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
                default: default_number!($default),
            },
        )+];

        /// The description of each row of [`OPTIONS`], with its unit and its rationale.
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
    /// How long a handshake may take. Below 10 s, a browser that delays connections after failures (up to 5 s in
    /// Chromium) may never get through.
    connect_timeout / "connectTimeout": Duration, Millis 1..=MAX_MILLIS, default 15_000;
    /// How long a function that provides the URL or the sub-protocols may take to settle.
    provider_timeout / "providerTimeout": Duration, Millis 1..=MAX_MILLIS, default 10_000;
    /// How long the closing handshake may take after `close()`, counted from the last time the browser's buffer
    /// shrank. Browsers themselves wait 20 to 60 s.
    close_timeout / "closeTimeout": Duration, Millis 1..=MAX_MILLIS, default 5_000;
    /// The first wait after a loss is drawn between 0 and this, so that clients of the same server do not return
    /// together (RFC 6455, section 7.2.3).
    first_delay_max / "firstDelayMax": Duration, Millis 0..=MAX_MILLIS, default 5_000;
    /// The minimum wait before the second and later retries.
    min_delay / "minDelay": Duration, Millis 0..=MAX_MILLIS, default 1_000;
    /// The wait before retry n (2, 3, …) is drawn between the minimum and this times the growth factor to the power
    /// of n − 1, limited by the maximum.
    base_delay / "baseDelay": Duration, Millis 1..=MAX_MILLIS, default 5_000;
    /// The factor by which the longest possible wait grows with each retry.
    growth_factor / "growthFactor": f64, Factor 1..=100.0, default 2;
    /// The limit on the longest possible wait, applied before the wait is drawn. Set alone, it also lowers the other
    /// delays to it.
    max_delay / "maxDelay": Duration, Millis 1..=MAX_MILLIS, default 30_000;
    /// How long a connection must stay open before the count of retries restarts, so that a server that accepts and
    /// closes at once is not hammered.
    stable_after / "stableAfter": Duration, Millis 0..=MAX_MILLIS, default 5_000;
    /// How many retries in a row, without a stable connection in between, before giving up.
    max_retries / "maxRetries": Option<u32>, Count 0..=MAX_COUNT, default none;
    /// Whether to reconnect. With `false`, the first loss or failed attempt is final, whatever the close code and the
    /// server say, and the program's predicate is not called: the socket behaves like a plain `WebSocket`, for
    /// libraries that reconnect by themselves. `reconnect()` still opens a new connection, which is again the only
    /// one.
    reconnect / "reconnect": bool, Flag 0..=1, default 1;
    /// How many attempts may be made in quick succession, whatever their reason, before further ones wait.
    attempt_burst / "attemptBurst": u32, Count 1..=MAX_COUNT, default 10;
    /// How long until one more attempt is allowed, up to the burst. 0 means no limit.
    attempt_interval / "attemptInterval": Duration, Millis 0..=MAX_MILLIS, default 5_000;
    /// The longest wait that a server may request: by announcing when to reconnect, or by closing with 1012 or 1013,
    /// which mean 5 to 30 s without an announcement.
    announced_delay_max / "announcedDelayMax": Duration, Millis 0..=MAX_MILLIS, default 60_000;
    /// How long the server may be silent before it is pinged. Without a ping, the grace starts then: that suits
    /// servers which send something that often by themselves; one with nothing to say would be considered dead. A
    /// server that announces its own heartbeat overrides this, within 5 to 120 s.
    heartbeat_interval / "heartbeatInterval": Option<Duration>, Millis 1..=MAX_MILLIS, default none;
    /// How much longer the server may be silent before the connection is considered dead.
    heartbeat_grace / "heartbeatGrace": Duration, Millis 1..=MAX_MILLIS, default 10_000;
    /// How often to send something to the server, whatever it sends: for servers that close connections on which they
    /// hear nothing. This sends a `~ping` if control messages are in use, else the keepalive message, else the ping.
    /// No answer is awaited, and no conclusion is drawn without one. Nothing is sent before the gate is open.
    keepalive_interval / "keepaliveInterval": Option<Duration>, Millis 1..=MAX_MILLIS, default none;
    /// Whether to use control messages if the server has chosen a sub-protocol whose name ends with `~1`: its
    /// heartbeat, a ping, a window for reconnecting. They do not reach the application. The application's own texts
    /// that start with `~` are escaped in transit and arrive unchanged.
    control_messages / "controlMessages": bool, Flag 0..=1, default 0;
    /// How long a server that answers pings may take to answer one after the page woke up or the network changed.
    probe_timeout / "probeTimeout": Duration, Millis 1..=MAX_MILLIS, default 5_000;
    /// How many messages the queue may hold.
    max_queued_messages / "maxQueuedMessages": u32, Count 0..=MAX_COUNT, default 1_000;
    /// How many bytes the queue may hold (text counts as UTF-8).
    max_queued_bytes / "maxQueuedBytes": u32, Bytes 0..=MAX_COUNT, default 16_777_216;
    /// What happens to a message that does not fit in the queue.
    overflow / "overflow": Overflow, Overflow 0..=2, default 0;
    /// How long a message may wait in the queue before it is dropped and reported.
    message_ttl / "messageTtl": Option<Duration>, Millis 1..=MAX_MILLIS, default none;
    /// Once the browser holds this many unsent bytes, further messages wait in the queue.
    high_water_mark / "highWaterMark": u32, Bytes 1..=MAX_COUNT, default 1_048_576;
    /// They flow again when the browser holds at most this many. It cannot exceed the high-water mark: if only one of
    /// the two is set, the other follows it.
    low_water_mark / "lowWaterMark": u32, Bytes 0..=MAX_COUNT, default 262_144;
    /// The largest message to accept from the server; a larger one ends the connection before any of it is copied.
    /// Text is measured in UTF-16 code units, since counting its bytes would mean reading all of it.
    max_message_bytes / "maxMessageBytes": Option<u32>, Bytes 1..=MAX_COUNT, default 67_108_864;
    /// Whether a page loaded over https may connect to a `ws:` URL on a host other than loopback. Browsers refuse
    /// that unless the user has allowed it for the page.
    allow_insecure / "allowInsecure": bool, Flag 0..=1, default 0;
    /// Whether the queue waits, after each open, until the application says that it is ready.
    gate / "gate": bool, Flag 0..=1, default 0;
    /// Whether the first attempt waits for `reconnect()`.
    start_closed / "startClosed": bool, Flag 0..=1, default 0;
}

/// Pairs of options, by JavaScript name, of which the first must not exceed the second. If only one of them is set,
/// the other follows it.
pub const ORDERED: [(&str, &str); 4] = [
    ("firstDelayMax", "maxDelay"),
    ("minDelay", "maxDelay"),
    ("baseDelay", "maxDelay"),
    ("lowWaterMark", "highWaterMark"),
];

/// Other clients' names for options: first ours, by JavaScript name, then theirs. Names that are similar to ours, or
/// have all of its words, are left out. `docs/migrating.md` has more.
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
    /// Sets the option in row `index` of [`OPTIONS`] from its number, for an API that reads options by name.
    ///
    /// # Errors
    /// If the row does not accept the number, or does not exist.
    pub fn set(&mut self, index: usize, value: f64) -> Result<(), OptionError> {
        match (RANGES.get(index), self.kept.get_mut(index)) {
            (Some(range), Some(row)) if range.contains(value) => *row = kept(value, index),
            _ => return Err(OptionError::OutOfRange { index, value }),
        }
        self.given |= 1 << index;
        Ok(())
    }

    /// The options whose numbers were checked by [`OPTIONS`]: `number` is asked for that of each row. For a face
    /// that checks them where they are given.
    #[must_use]
    #[inline(never)]
    pub fn from_numbers(number: &dyn Fn(usize) -> f64) -> Self {
        Self {
            kept: core::array::from_fn(|row| kept(number(row), row)),
            given: u64::MAX,
        }
    }

    /// The value of every option, in the order of [`OPTIONS`].
    fn numbers(&self) -> [f64; OPTIONS.len()] {
        core::array::from_fn(|row| number(self.kept[row], row))
    }

    const fn is_given(&self, row: Row) -> bool {
        self.given & (1 << row as u32) != 0
    }

    /// Whether control messages were declined, rather than only not asked for.
    #[cfg(feature = "std")]
    pub(crate) fn declines_control_messages(&self) -> bool {
        self.is_given(Row::control_messages) && !self.values().control_messages
    }

    /// Fills in what was not set, in the pairs of [`ORDERED`], from what was.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for (lesser, greater) in [
            (Row::first_delay_max, Row::max_delay),
            (Row::min_delay, Row::max_delay),
            (Row::base_delay, Row::max_delay),
            (Row::low_water_mark, Row::high_water_mark),
        ] {
            let (less, more) = (self.kept[lesser as usize], self.kept[greater as usize]);
            if less > more {
                if !self.is_given(lesser) {
                    self.kept[lesser as usize] = more;
                } else if !self.is_given(greater) {
                    self.kept[greater as usize] = less;
                }
            }
        }
        self
    }

    /// Checks every option's range, and the order of related options.
    ///
    /// # Errors
    /// The first invalid option, with its accepted values.
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

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = OPTIONS.iter().zip(self.numbers());
        f.debug_map()
            .entries(rows.map(|(spec, number)| (spec.name, number)))
            .finish()
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
            // Both were set, in either order.
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
        // What is in order stays, and the last setting counts.
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
