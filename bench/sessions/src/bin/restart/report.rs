//! What is printed: the attempts beside those of the simulation, and what became of the messages.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use load::Result;
use simulation::herd::{self, Hint, Policy};

use crate::crowd::Crowd;
use crate::ledger::Sums;
use crate::server::{Given, options};

/// How the clients came back.
struct Return {
    clients: usize,
    attempts: u64,
    /// The most attempts in a second.
    peak: u64,
    /// Seconds until half and 99 % of the clients were back.
    back: [Option<f64>; 2],
}

const SHARES: [f64; 2] = [0.5, 0.99];

/// What the simulation of the herd says of so many clients that are told to come back within this time.
fn simulated(clients: usize, window: Duration) -> Return {
    let hint = Hint::Window(window.as_millis() as u64);
    let capacity = u64::from(options().handshakes_per_second);
    let outcome = herd::run(Policy::Ours(hint), clients, capacity, 0, 1);
    Return {
        clients,
        attempts: outcome.attempts,
        peak: outcome.peak(),
        back: SHARES.map(|share| outcome.back_within(share)),
    }
}

/// What was seen, from the moment when the window begins.
fn measured(crowd: &Crowd, restart: Instant, away: Duration) -> Return {
    let movers: Vec<_> = crowd.clients.iter().filter(|client| client.moves).collect();
    let lost = |client: &&crate::crowd::Client| {
        let connections = client.connections.borrow();
        connections.closed.iter().copied().find(|at| *at > restart)
    };
    let first_loss = movers.iter().filter_map(lost).min().unwrap_or(restart);
    let begins = first_loss + away;
    let (mut attempts, mut per_second, mut back) = (0, Vec::new(), Vec::new());
    for client in &movers {
        let connections = client.connections.borrow();
        for at in connections.attempts.iter().filter(|at| **at > restart) {
            attempts += 1;
            let second = at.saturating_duration_since(begins).as_secs() as usize;
            if per_second.len() <= second {
                per_second.resize(second + 1, 0);
            }
            per_second[second] += 1;
        }
        let opened = connections.opened.iter().find(|at| **at > restart);
        back.extend(opened.map(|at| at.saturating_duration_since(begins).as_secs_f64()));
    }
    back.sort_unstable_by(f64::total_cmp);
    Return {
        clients: movers.len(),
        attempts,
        peak: per_second.into_iter().max().unwrap_or(0),
        back: SHARES.map(|share| {
            let rank = (movers.len() as f64 * share).ceil() as usize;
            back.get(rank.checked_sub(1)?).copied()
        }),
    }
}

fn row(name: &str, of: &Return, window: Duration) -> String {
    let even = of.clients as f64 / window.as_secs_f64();
    let seconds = |at: Option<f64>| at.map_or("–".to_owned(), |at| format!("{at:.1}"));
    format!(
        "| {name} | {} | {:.2} | {} | {even:.0} | {:.2} | {} | {} |",
        of.clients,
        of.attempts as f64 / of.clients as f64,
        of.peak,
        of.peak as f64 / even,
        seconds(of.back[0]),
        seconds(of.back[1]),
    )
}

/// Prints everything.
///
/// # Errors
///
/// If anything was lost in silence, or reported wrongly.
pub(super) fn print(crowd: &Crowd, window: &RangeInclusive<Duration>, given: &Given) -> Result<()> {
    let (Some(restart), Some(successor)) = (crowd.restart, crowd.successor) else {
        return Err("there was no restart".into());
    };
    let (away, spread) = (*window.start(), *window.end() - *window.start());
    println!(
        "told to come back after {} to {} s; the next process listened {:.1} s after the order to restart",
        away.as_secs(),
        window.end().as_secs(),
        (successor - restart).as_secs_f64()
    );
    let seen = measured(crowd, restart, away);
    println!(
        "| | clients | attempts each | peak/s | clients/window | peak in proportion | p50 | p99 |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n{}\n{}",
        row("simulated", &simulated(seen.clients, spread), spread),
        row("measured", &seen, spread)
    );

    let [mut staying, mut moving] = [Sums::default(); 2];
    let (mut disturbed, mut reports) = (0_u64, 0);
    let mut untold = 0;
    for (number, client) in crowd.clients.iter().enumerate() {
        let ledger = client.ledger.borrow();
        if client.moves {
            moving = moving.add(ledger.sums(given.get(&number).copied().unwrap_or(0)));
            reports += ledger.losses;
            untold += u64::from(ledger.losses != 1);
        } else {
            staying = staying.add(ledger.sums(0));
            let attempts = client.connections.borrow().attempts.len() as u64;
            disturbed += ledger.losses + attempts - 1;
        }
    }
    println!(
        "stayed: {} attempts and losses; {} messages sent, {} came back; {} wrong",
        disturbed,
        staying.sent,
        staying.echoed,
        staying.wrong() + staying.sent.abs_diff(staying.echoed)
    );
    println!(
        "restarted: {reports} sessions lost, and {untold} clients not told so once; {} messages sent, {} came back; \
         reported {} not handled, {} unknown; {} without an end, {} reported wrongly, {} repeated or out of order",
        moving.sent,
        moving.echoed,
        moving.not_handled,
        moving.unknown,
        moving.silent,
        moving.false_reports,
        moving.strange
    );
    let wrong = moving.wrong() + untold + staying.wrong() + disturbed;
    match wrong == 0 && staying.sent == staying.echoed {
        true => Ok(()),
        false => Err("something was lost in silence, or reported wrongly".into()),
    }
}
