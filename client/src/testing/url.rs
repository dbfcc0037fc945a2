//! URLs, parsed like a browser.

use crate::platform::Refused;

/// Parses a URL on a page at `http://page.test/` (`https:` if secure): refuses what a browser refuses because of its
/// scheme, host, port or fragment, and leaves the rest unchanged.
pub(super) fn parse(url: &str, page_is_secure: bool) -> Result<String, Refused> {
    let url = url.trim_matches(|character: char| character <= ' ');
    let own = if page_is_secure { "wss" } else { "ws" };
    let absolute = match scheme_of(url) {
        Some((scheme, rest)) => {
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "ws" | "http" => "ws",
                "wss" | "https" => "wss",
                // `localhost:80` has one, too.
                other => {
                    return Err(Refused(format!(
                        "the URL's scheme is {other}:; it takes ws:, wss:, http: or https:"
                    )));
                }
            };
            format!("{scheme}://{}", rest.trim_start_matches(['/', '\\']))
        }
        None if url.starts_with("//") => format!("{own}:{url}"),
        None => format!("{own}://page.test/{}", url.trim_start_matches('/')),
    };
    if absolute.contains('#') {
        return Err(Refused(
            "the URL has a fragment (#…); a WebSocket URL takes none".to_owned(),
        ));
    }
    if !has_host(&absolute) {
        return Err(Refused(
            "the URL cannot be parsed; it takes an absolute ws:, wss:, http: or https: URL, or one \
             relative to the page"
                .to_owned(),
        ));
    }
    Ok(absolute)
}

/// The scheme of a URL, if any, and what follows its colon.
fn scheme_of(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let allowed = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    let is_scheme = scheme.starts_with(|character: char| character.is_ascii_alphabetic())
        && scheme.chars().all(allowed);
    is_scheme.then_some((scheme, rest))
}

/// Whether an absolute URL has a host, and a valid port if any.
fn has_host(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '\\', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // The colons of an IPv6 address are inside brackets.
    let (name, port) = match host.rfind(']') {
        Some(end) => host.split_at(end.saturating_add(1)),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.is_empty()
                || (digits.bytes().all(|byte| byte.is_ascii_digit())
                    && digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    let is_forbidden = |character: char| character <= ' ' || "<>^|%\"`{}".contains(character);
    is_port && !name.is_empty() && !name.contains(is_forbidden)
}
