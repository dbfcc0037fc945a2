//! Sessions: seeds, short sequences, and one case for each rule that somebody has paid for.

use std::collections::HashMap;

use simulation::sessions::account::{Side, Told};
use simulation::sessions::exhaustive::{ALPHABET, Letter, after, try_all, worlds};
use simulation::sessions::script::run_seeds;
use simulation::sessions::word::Fatal;
use simulation::sessions::world::{Settings, Treat, World};
use steady_socket_protocol::session::frame::{Counts, Frame, Kind};
use steady_socket_protocol::session::{
    MAX_NUMBER, MemoryOptions, Options, Overflow, Phase, SendMode, Time, limits,
};

fn settings() -> Settings {
    Settings {
        ends: [Options::default(); 2],
        window_ms: 120_000,
        store: MemoryOptions::default(),
        store_timeout_ms: 5_000,
        serial: [true, true],
        slow_clock: false,
    }
}

/// A world in which both ends are connected.
fn connected(settings: Settings) -> World {
    let mut world = World::new(settings);
    connect(&mut world);
    world
}

/// The client connects and is let in, and everything on its way arrives.
fn connect(world: &mut World) {
    world.connect(1);
    arrive(world);
}

/// Everything on its way arrives, and whoever waits is let in.
fn arrive(world: &mut World) {
    loop {
        let waiting: Vec<u64> = world.waiting_to_be_let_in().collect();
        let busy: Vec<u64> = world.busy_to_server().collect();
        if waiting.is_empty() && busy.is_empty() && !world.busy_to_client() {
            break;
        }
        for number in waiting {
            world.let_in(number, true, true);
        }
        for number in busy {
            world.deliver_to_server(number);
        }
        while world.busy_to_client() {
            world.deliver_to_client();
        }
    }
    world.check().unwrap();
}

fn send(world: &mut World, from: Side) -> usize {
    let id = world.account.entries.len();
    world.send(
        from,
        world.some_key(),
        10,
        Kind::Text,
        SendMode::default(),
        None,
    );
    world.end_turns();
    id
}

/// Everything that is on its way on this connection reaches the server, which lets its client in.
fn reach(world: &mut World, number: u64) {
    while world.busy_to_server().any(|busy| busy == number) {
        world.deliver_to_server(number);
        world.let_in(number, true, true);
    }
}

/// Everything on its way on a connection reaches the server.
fn deliver_all(world: &mut World, number: u64) {
    while world.busy_to_server().any(|busy| busy == number) {
        world.deliver_to_server(number);
    }
}

fn finish_all(world: &mut World, side: Side) {
    while world.running(side, world.some_key()) > 0 {
        world.finish(side, world.some_key(), 0, 7);
    }
}

fn told(world: &World, id: usize) -> Option<Told> {
    world.account.entries[id].told
}

fn given(world: &World, id: usize) -> usize {
    world.account.entries[id].given.len()
}

/// Everything works from now on, all ends come, and the account agrees.
fn end(mut world: World) -> World {
    world.come_to_rest(1).unwrap();
    world.come_to_an_end(1).unwrap();
    world
}

#[test]
fn seeds_find_nothing_and_every_outcome_occurs() {
    match run_seeds(1, 6_000, 2) {
        Ok(coverage) => assert_eq!(coverage.missing(), [] as [&str; 0], "never occurred"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn every_sequence_of_three_inputs_is_sound() {
    match try_all(3, 2) {
        Ok(tried) => {
            for (letter, times) in tried.letters {
                assert!(times > 0, "{letter:?} did nothing");
            }
        }
        Err(broken) => panic!("{broken}"),
    }
}

/// Justifies continuing the search with only one of the sequences that lead to the same state.
#[test]
fn worlds_of_sessions_with_the_same_fingerprint_react_alike() {
    for (settings, before) in worlds() {
        let start = after(settings, &before);
        let then = |world: &World, letter: &Letter| {
            let mut world = world.clone();
            letter.act(&mut world);
            world
        };
        let mut reactions = HashMap::new();
        for first in ALPHABET {
            let world = then(&start, first);
            for second in ALPHABET {
                let world = then(&world, second);
                let reaction: Vec<u64> = ALPHABET
                    .iter()
                    .map(|third| then(&world, third).fingerprint())
                    .collect();
                let known = reactions
                    .entry(world.fingerprint())
                    .or_insert_with(|| reaction.clone());
                assert_eq!(*known, reaction, "after {first:?} and {second:?}");
            }
        }
        assert!(reactions.len() < ALPHABET.len().pow(2));
    }
}

#[test]
fn a_seed_means_the_same_run_every_time() {
    let run = || run_seeds(99, 3, 1).map_err(|failure| failure.violation);
    assert_eq!(run(), run());
}

// centrifuge-js#425
#[test]
fn the_position_moves_before_a_message_is_given() {
    let mut world = connected(settings());
    world.lazy[Side::Server as usize] = true;
    let id = send(&mut world, Side::Client);
    arrive(&mut world);
    assert_eq!(given(&world, id), 0, "it waits in the half");
    // Its handler runs, and reconnects.
    world.take_outputs(Side::Server, usize::MAX);
    assert_eq!(given(&world, id), 1);
    world.cut_at_client(None);
    connect(&mut world);
    world.take_outputs(Side::Server, usize::MAX);
    assert_eq!(given(&world, id), 1);
    let world = end(world);
    assert_eq!(told(&world, id), Some(Told::Handled));
}

// centrifuge-go#150
#[test]
fn a_loop_of_an_earlier_connection_can_give_nothing() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    // The message is still on its way on the first connection when the second takes over.
    world.cut_at_client(None);
    world.connect(1);
    world.deliver_to_server(2);
    world.let_in(2, true, true);
    world.deliver_to_server(1);
    assert_eq!(
        given(&world, id),
        0,
        "the first connection means nothing any more"
    );
    arrive(&mut world);
    assert_eq!(given(&world, id), 1);
    end(world);
}

// socket.io#4880
#[test]
fn a_session_resumes_though_its_old_socket_still_looks_open() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Server);
    // The client has left, and the server has not noticed.
    world.cut_at_client(None);
    world.connect(1);
    world.deliver_to_server(2);
    world.let_in(2, true, true);
    assert_eq!(
        world.coverage.of("close: 3970"),
        1,
        "the old one is closed with its own code"
    );
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Open(Resumed) with replay"), 1);
    assert_eq!(given(&world, id), 1);
    end(world);
}

#[test]
fn the_first_welcome_is_lost_and_so_is_the_second() {
    let mut world = World::new(settings());
    let id = send(&mut world, Side::Client);
    for number in 1..=2 {
        world.connect(1);
        while world.busy_to_server().any(|busy| busy == number) {
            world.deliver_to_server(number);
            world.let_in(number, true, true);
        }
        world.cut_at_client(None);
    }
    assert_eq!(given(&world, id), 1, "it rode behind the first hello");
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Open(Resumed) without replay"), 1);
    assert_eq!(given(&world, id), 1);
    let world = end(world);
    assert_eq!(told(&world, id), Some(Told::Handled));
}

#[test]
fn a_hello_that_is_overtaken_is_refused() {
    let mut world = connected(settings());
    world.cut_at_client(None);
    world.connect(1);
    world.cut_at_client(None);
    world.connect(1);
    // The third hello arrives before the second.
    world.deliver_to_server(3);
    world.let_in(3, true, true);
    world.deliver_to_server(2);
    world.let_in(2, true, true);
    assert_eq!(world.coverage.of("close: 3971"), 1);
    arrive(&mut world);
    assert_eq!(world.client.phase(), Phase::Up);
    end(world);
}

#[test]
fn a_lost_verdict_that_is_lost_is_said_again_and_again() {
    let mut world = connected(settings());
    let finished = send(&mut world, Side::Client);
    arrive(&mut world);
    finish_all(&mut world, Side::Server);
    let unfinished = send(&mut world, Side::Client);
    arrive(&mut world);
    let on_its_way = send(&mut world, Side::Client);
    world.cut_at_client(Some(0));
    let waiting = send(&mut world, Side::Client);
    arrive(&mut world);
    world.advance(120_001, true);
    assert_eq!(world.coverage.of("server: Ended(Lost(Expired))"), 1);
    for round in 1..=3 {
        world.connect(1);
        let number = world.conns.keys().copied().max().unwrap();
        world.deliver_to_server(number);
        world.let_in(number, true, true);
        // The welcome is lost; and at last the session that it was for expires as well.
        world.cut_at_client(Some(0));
        arrive(&mut world);
        if round == 2 {
            world.advance(120_001, true);
        }
    }
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Expired)"), 1);
    assert_eq!(told(&world, finished), Some(Told::Handled));
    assert_eq!(told(&world, unfinished), Some(Told::Unknown));
    assert_eq!(told(&world, on_its_way), Some(Told::NotHandled));
    assert_eq!(
        told(&world, waiting),
        None,
        "it goes into the fresh session"
    );
    let world = end(world);
    assert_eq!(told(&world, waiting), Some(Told::Handled));
}

/// A message that is handled by a session which expires before its client has had a welcome, and the connection on which
/// the client is told so.
fn expired_without_a_welcome() -> (World, usize, u64) {
    let mut world = World::new(settings());
    let id = send(&mut world, Side::Client);
    world.connect(1);
    reach(&mut world, 1);
    finish_all(&mut world, Side::Server);
    world.cut_at_client(None);
    reach(&mut world, 1);
    world.advance(120_001, true);
    assert_eq!(world.coverage.of("server: Ended(Lost(Expired))"), 1);
    world.connect(1);
    (world, id, 2)
}

#[test]
fn whoever_goes_on_before_the_verdict_has_arrived_is_told_nothing_of_it_again() {
    for (keeps_to_the_protocol, told_so, times) in [(true, 1, 1), (false, 0, 2)] {
        let (mut world, id, number) = expired_without_a_welcome();
        world.deliver_to_server(number);
        if !keeps_to_the_protocol {
            // It is on its way while the server answers, which takes it for one that follows the welcome.
            world.forge([Frame::Awaited(0)]);
        }
        world.let_in(number, true, true);
        world.cut_at_client(None);
        reach(&mut world, number);
        connect(&mut world);
        assert_eq!(world.coverage.of("client: Lost(Expired)"), told_so);
        assert_eq!(given(&world, id), times);
        // Whoever keeps to the protocol is judged all the same.
        assert_eq!(world.account.shifted[0], !keeps_to_the_protocol);
        let world = end(world);
        assert_eq!(told(&world, id), Some(Told::Handled));
    }
}

#[test]
fn a_late_hello_after_close_makes_no_session() {
    let mut world = connected(settings());
    world.cut_at_client(None);
    // A hello that nobody waits for any more.
    world.connect(1);
    world.cut_at_client(None);
    world.connect(1);
    arrive_welcome(&mut world);
    world.close(1_000);
    deliver_all(&mut world, 3);
    assert!(world.gave_up);
    reach(&mut world, 2);
    assert!(world.coverage.of("close: 3973") > 0);
    end(world);
}

#[test]
fn a_restart_before_the_first_welcome_gives_nothing_twice() {
    let mut world = World::new(settings());
    let id = send(&mut world, Side::Client);
    world.connect(1);
    while world.busy_to_server().next().is_some() {
        world.deliver_to_server(1);
        world.let_in(1, true, true);
    }
    assert_eq!(given(&world, id), 1);
    world.restart(false);
    world.cut_at_client(None);
    connect(&mut world);
    // The server cannot know whether the one before was given it.
    assert_eq!(told(&world, id), Some(Told::Unknown));
    assert_eq!(world.coverage.of("client: Lost(Unknown)"), 1);
    end(world);
}

#[test]
fn what_rides_behind_a_late_hello_is_not_given_after_a_restart() {
    let mut world = World::new(settings());
    let id = send(&mut world, Side::Client);
    // A proxy holds up the hello with what rides behind it; the client gives this connection up, and comes back.
    world.connect(1);
    world.cut_at_client(None);
    world.connect(1);
    arrive_welcome(&mut world);
    deliver_all(&mut world, 2);
    assert_eq!(given(&world, id), 1);
    world.restart_behind_a_proxy();
    reach(&mut world, 1);
    assert_eq!(given(&world, id), 1);
    world.cut_at_client(None);
    connect(&mut world);
    assert_eq!(told(&world, id), Some(Told::Unknown));
    let world = end(world);
    assert_eq!(given(&world, id), 1);
}

#[test]
fn a_late_hello_after_a_restart_does_not_bring_a_message_back() {
    let mut world = World::new(settings());
    // A proxy holds up the first hello. What is sent behind the second is handled, and its welcome is lost.
    world.connect(1);
    world.cut_at_client(None);
    let id = send(&mut world, Side::Client);
    world.connect(1);
    reach(&mut world, 2);
    assert_eq!(given(&world, id), 1);
    // In the new memory the first hello makes a session, to which the message was never sent.
    world.restart_behind_a_proxy();
    reach(&mut world, 1);
    world.cut_at_client(None);
    connect(&mut world);
    assert_eq!(told(&world, id), Some(Told::Unknown));
    let world = end(world);
    assert_eq!(given(&world, id), 1);
}

#[test]
fn what_fitted_into_an_earlier_owners_window_is_taken_again() {
    let mut world = connected(settings());
    // The first numbers of an epoch are taken whatever the window is.
    for _ in 0..limits::RIDING_MESSAGES {
        send(&mut world, Side::Client);
        arrive(&mut world);
        finish_all(&mut world, Side::Server);
    }
    world.flush();
    arrive(&mut world);
    let ids: Vec<_> = (0..4).map(|_| send(&mut world, Side::Client)).collect();
    world.restart_smaller(2, 15);
    world.cut_at_client(None);
    connect(&mut world);
    // One after the other, since the owner that is gone may have died of one.
    for _ in 0..4 {
        world.advance(limits::ALONE_MS, true);
        arrive(&mut world);
    }
    assert_eq!(world.coverage.of("close: 3474"), 0);
    assert!(ids.iter().all(|id| given(&world, *id) == 1));
    let world = end(world);
    assert!(
        ids.iter()
            .all(|id| told(&world, *id) == Some(Told::Handled))
    );
}

#[test]
fn what_rides_in_the_first_minute_is_given_a_round_trip_later() {
    let mut world = World::new(settings());
    world.restart(false);
    let id = send(&mut world, Side::Client);
    for _ in 0..3 {
        send(&mut world, Side::Client);
    }
    world.connect(1);
    for _ in 0..2 {
        world.deliver_to_server(1);
        world.let_in(1, true, true);
    }
    assert_eq!(given(&world, id), 0);
    arrive(&mut world);
    assert_eq!(given(&world, id), 1);
    end(world);
    // And after it at once.
    let mut world = World::new(settings());
    world.restart(false);
    world.advance(61_001, true);
    let id = send(&mut world, Side::Client);
    world.connect(1);
    for _ in 0..2 {
        world.deliver_to_server(1);
        world.let_in(1, true, true);
    }
    assert_eq!(given(&world, id), 1);
    end(world);
}

#[test]
fn a_request_that_rode_to_a_new_owner_is_not_asked_again() {
    let mut world = World::new(settings());
    world.connect(1);
    let reach = |world: &mut World, number| {
        while world.busy_to_server().any(|busy| busy == number) {
            world.deliver_to_server(number);
            world.let_in(number, true, true);
        }
    };
    reach(&mut world, 1);
    // The welcome is lost, and another process takes over.
    world.cut_at_client(None);
    world.restart(true);
    let id = world.account.entries.len();
    world.ask(Side::Client, None, None, None);
    world.connect(1);
    reach(&mut world, 2);
    assert_eq!(given(&world, id), 1);
    world.cut_at_client(None);
    connect(&mut world);
    assert_eq!(given(&world, id), 1, "this process has it");
    finish_all(&mut world, Side::Server);
    let world = end(world);
    assert_eq!(world.coverage.of("client: request: response"), 1);
}

#[test]
fn what_was_sent_to_nobody_is_sent_again_once_the_memory_is_older_than_the_session() {
    let mut world = World::new(settings());
    world.restart(false);
    world.advance(limits::YOUNG_MS + 1_100, true);
    let id = send(&mut world, Side::Client);
    // The hello never arrives.
    world.connect(1);
    world.cut_at_client(Some(0));
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Open(Fresh)"), 1);
    assert_eq!(given(&world, id), 1);
    end(world);
}

// socket.io#5282, #5538
#[test]
fn an_idle_session_resumes_and_so_does_one_without_messages() {
    for messages in [0, 3] {
        let mut world = connected(settings());
        for _ in 0..messages {
            send(&mut world, Side::Client);
            send(&mut world, Side::Server);
        }
        arrive(&mut world);
        // Ten hours without a frame of the application's.
        for _ in 0..600 {
            world.advance(60_000, true);
            arrive(&mut world);
        }
        world.cut_at_client(None);
        connect(&mut world);
        assert_eq!(
            world.coverage.of("client: Open(Resumed) without replay"),
            1,
            "{messages}"
        );
        end(world);
    }
}

#[test]
fn memory_is_freed_by_acknowledgement_and_not_by_the_clock() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Server);
    for _ in 0..60 {
        world.advance(60_000, true);
    }
    assert_eq!(told(&world, id), None);
    world.cut_at_client(None);
    connect(&mut world);
    assert_eq!(given(&world, id), 1, "an hour later it is still there");
    end(world);
}

// SignalR, Azure
#[test]
fn a_session_resumes_through_the_whole_window_and_not_after_it() {
    for (after, resumed) in [(1, 1), (60_000, 1), (119_999, 1), (120_000, 0)] {
        let mut world = connected(settings());
        world.cut_at_client(None);
        arrive(&mut world);
        world.advance(after, true);
        connect(&mut world);
        let counted = world.coverage.of("client: Open(Resumed) without replay");
        assert_eq!(counted, resumed, "after {after} ms");
        end(world);
    }
}

#[test]
fn a_session_expires_by_its_own_timer() {
    let mut world = connected(settings());
    world.advance(30_000, true);
    arrive(&mut world);
    world.cut_at_client(None);
    arrive(&mut world);
    let lost = world.now;
    for _ in 0..10 {
        if world.coverage.of("server: Ended(Lost(Expired))") == 0 {
            let wait = world.until_next_timer().unwrap();
            world.advance(wait, true);
        }
    }
    assert_eq!(world.now - lost, 120_000);
    end(world);
}

// WSE 2.4.2
#[test]
fn what_cannot_be_replayed_is_not_asked_for_again_and_again() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Server);
    arrive(&mut world);
    finish_all(&mut world, Side::Client);
    world.advance(1_000, true);
    arrive(&mut world);
    assert_eq!(told(&world, id), Some(Told::Handled));
    // A copy of the secret claims to have received nothing: what it asks for is gone.
    world.imposter(1);
    arrive(&mut world);
    assert_eq!(world.coverage.of("server: Lost(OutOfStep)"), 1);
    world.check().unwrap();
}

// XEP-0198 clients, JavaScript numbers
#[test]
fn counters_cross_2_to_the_32nd_and_end_at_2_to_the_53rd() {
    for origin in [(1 << 32) - 5, MAX_NUMBER - 25] {
        let mut settings = settings();
        for end in &mut settings.ends {
            end.origin = origin;
        }
        settings.store.origin = origin;
        let mut world = connected(settings);
        let ids: Vec<usize> = (0..20).map(|_| send(&mut world, Side::Client)).collect();
        world.cut_at_client(Some(3));
        connect(&mut world);
        world.come_to_rest(1).unwrap();
        assert!(
            ids.iter()
                .all(|id| told(&world, *id) == Some(Told::Handled)),
            "{origin}"
        );
        for _ in 0..10 {
            send(&mut world, Side::Client);
        }
        let world = end(world);
        let exhausted = world.coverage.of("rejected: Exhausted");
        assert_eq!(exhausted > 0, origin > 1 << 40, "{origin}");
    }
}

#[test]
fn a_message_that_ends_its_connection_three_times_alone_is_set_aside() {
    for fatal in [1_002, 1_003, 1_007, 1_009, 3_471, 3_474, 4_009]
        .map(Fatal::Close)
        .into_iter()
        .chain([Fatal::Kill])
    {
        let mut world = connected(settings());
        let first = world.account.entries.len();
        for at in 0..5 {
            let fatal = (at == 2).then_some(fatal);
            world.send(
                Side::Client,
                None,
                10,
                Kind::Text,
                SendMode::default(),
                fatal,
            );
        }
        world.end_turns();
        let world = end(world);
        let ends: Vec<_> = (first..first + 5)
            .map(|id| told(&world, id).unwrap())
            .collect();
        let [handled, unknown] = [Told::Handled, Told::Unknown];
        assert_eq!(
            ends,
            [handled, handled, unknown, handled, handled],
            "{fatal:?}"
        );
        assert_eq!(world.coverage.of("client: message unknown: SetAside"), 1);
        assert_eq!(world.coverage.of("frame: Skip"), 1);
        // Once beside others, and three times alone.
        let deaths = match fatal {
            Fatal::Close(code) => world.coverage.of(&format!("close: {code}")),
            Fatal::Kill => world.coverage.of("the server restarted with its store"),
        };
        assert_eq!(deaths, 4, "{fatal:?}");
    }
}

#[test]
fn a_blamed_message_whose_handler_asks_stops_nobody() {
    // The message that asks is blamed; or another behind it, whose turn is before that of the answer.
    for behind in [false, true] {
        let mut world = connected(settings());
        let asks = send(&mut world, Side::Client);
        if behind {
            arrive(&mut world);
            world.send(
                Side::Client,
                None,
                10,
                Kind::Text,
                SendMode::default(),
                None,
            );
            world.end_turns();
        }
        let number = world.conns.keys().copied().max().unwrap();
        world.cut_at_server_with(number, 1_009);
        while world.busy_to_client() {
            world.deliver_to_client();
        }
        connect(&mut world);
        assert_eq!(given(&world, asks), 1);
        // Its handler asks, and is done when it has the answer.
        world.ask(Side::Server, world.some_key(), None, None);
        arrive(&mut world);
        finish_all(&mut world, Side::Client);
        arrive(&mut world);
        let early = world.coverage.of("server: request: response");
        assert_eq!(early, 0, "alone for now");
        let wait = world.until_next_timer().unwrap();
        assert!(wait <= 5_000, "{wait}");
        world.advance(5_000, true);
        arrive(&mut world);
        assert_eq!(world.coverage.of("server: request: response"), 1);
        let world = end(world);
        assert_eq!(told(&world, asks), Some(Told::Handled));
    }
}

#[test]
fn these_codes_retry_while_anything_is_unacknowledged() {
    let mut world = connected(settings());
    assert!(!world.client.insists_on_retry(1_009));
    send(&mut world, Side::Client);
    assert!(world.client.insists_on_retry(1_009));
    assert!(
        !world.client.insists_on_retry(1_008),
        "not a code of what was sent"
    );
    end(world);
}

#[test]
fn a_close_with_1000_and_no_end_is_a_loss_like_any_other() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    assert!(world.client.insists_on_retry(1_000));
    let number = world.conns.keys().copied().max().unwrap();
    world.cut_at_server_with(number, 1_000);
    while world.busy_to_client() {
        world.deliver_to_client();
    }
    assert!(!world.gave_up);
    connect(&mut world);
    assert_eq!(given(&world, id), 1);
    let world = end(world);
    assert_eq!(told(&world, id), Some(Told::Handled));
    assert!(!world.client.insists_on_retry(1_000), "it is over");
}

#[test]
fn a_bad_network_is_no_fault_of_a_message() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    for _ in 0..20 {
        world.cut_at_client(Some(0));
        world.connect(1);
        arrive_welcome(&mut world);
    }
    let world = end(world);
    assert_eq!(told(&world, id), Some(Told::Handled));
    assert_eq!(world.coverage.of("client: message unknown: SetAside"), 0);
}

/// The hello and the welcome arrive, and nothing behind them.
fn arrive_welcome(world: &mut World) {
    let number = world.conns.keys().copied().max().unwrap();
    world.deliver_to_server(number);
    world.let_in(number, true, true);
    world.deliver_to_client();
}

#[test]
fn a_window_whose_half_is_never_reached_costs_no_second() {
    let mut settings = settings();
    for end in &mut settings.ends {
        end.limits.bytes = 1_000;
    }
    let mut world = connected(settings);
    for side in [Side::Client, Side::Server] {
        let first = world.account.entries.len();
        for at in 0..20 {
            let bytes = if at % 2 == 0 { 400 } else { 700 };
            let key = world.some_key();
            world.send(side, key, bytes, Kind::Text, SendMode::default(), None);
        }
        world.end_turns();
        let awaited = world.coverage.of("frame: Awaited");
        // No time passes.
        for _ in 0..40 {
            arrive(&mut world);
            finish_all(&mut world, side.other());
        }
        let given = (first..first + 20).filter(|id| given(&world, *id) == 1);
        assert_eq!(given.count(), 20, "{side:?}");
        let asked = world.coverage.of("frame: Awaited") - awaited;
        assert!((1..=20).contains(&asked), "{asked}, once for each number");
    }
    end(world);
}

#[test]
fn a_message_expires_wherever_it_waits_and_the_others_keep_their_order() {
    let mut world = World::new(settings());
    let first = world.account.entries.len();
    for lives in [None, Some(1_000), None, None, Some(2_000), None] {
        let expires = lives.map(|millis| Time::from_millis(world.now + millis));
        let mode = SendMode {
            expires,
            ..SendMode::default()
        };
        world.send(Side::Client, None, 10, Kind::Text, mode, None);
    }
    let over = |world: &World| world.coverage.of("client: message not handled: TimeToLive");
    world.advance(1_000, true);
    assert_eq!(over(&world), 1);
    world.advance(1_000, true);
    assert_eq!(over(&world), 2);
    connect(&mut world);
    let ends = (first..first + 6).map(|id| given(&world, id));
    assert_eq!(ends.collect::<Vec<_>>(), [1, 0, 1, 1, 0, 1]);
    end(world);
}

// WSE
#[test]
fn a_full_queue_never_drops_in_silence() {
    for overflow in [Overflow::Reject, Overflow::DropOldest] {
        let mut settings = settings();
        settings.ends[0].queue_messages = 3;
        settings.ends[0].overflow = overflow;
        let mut world = World::new(settings);
        let ids: Vec<usize> = (0..5).map(|_| send(&mut world, Side::Client)).collect();
        let rejected = world.coverage.of("rejected: Full");
        let dropped = world.coverage.of("client: message not handled: Overflow");
        let expected = if overflow == Overflow::Reject {
            (2, 0)
        } else {
            (0, 2)
        };
        assert_eq!((rejected, dropped), expected);
        let world = end(world);
        let handled = ids
            .iter()
            .filter(|id| told(&world, **id) == Some(Told::Handled));
        assert_eq!(handled.count(), 3);
    }
}

#[test]
fn a_session_that_is_lost_for_its_size_says_so() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    arrive(&mut world);
    let key = world.key();
    world.end_at_application(key, true);
    arrive(&mut world);
    assert_eq!(world.coverage.of("close: 3476"), 1);
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Full)"), 1);
    assert_eq!(
        told(&world, id),
        Some(Told::Unknown),
        "it was given, and its handler runs"
    );
    end(world);
}

// starknet.js#1664, comlink#601, rspc#226
#[test]
fn whatever_waits_for_an_answer_settles_once() {
    type Ending = fn(&mut World);
    let endings: [(&str, Ending); 6] = [
        ("close", |world| world.close(500)),
        ("abort", World::abort),
        ("expiry", |world| {
            world.cut_at_client(None);
            arrive(world);
            world.advance(130_000, true);
        }),
        ("full", |world| {
            world.end_at_application(world.some_key(), true)
        }),
        ("ended by the server", |world| {
            world.end_at_application(world.some_key(), false)
        }),
        ("restart", |world| world.restart(false)),
    ];
    for (name, ending) in endings {
        let mut world = connected(settings());
        for side in [Side::Client, Side::Server] {
            world.ask(side, world.some_key(), None, None);
            send(&mut world, side);
            arrive(&mut world);
            // These stay on their way, and these wait.
            world.ask(side, world.some_key(), Some(5_000), None);
            send(&mut world, side);
        }
        world.cancel(Side::Client, None, 0);
        ending(&mut world);
        world.advance(1_000, true);
        // The account finds what has no end, and what has two.
        let world = end(world);
        assert!(
            world
                .account
                .entries
                .iter()
                .all(|entry| entry.orphan || entry.told.is_some()),
            "{name}"
        );
    }
}

// WSE 2.4.0
#[test]
fn a_resume_is_authorised_again_and_so_is_what_is_stored() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Server);
    world.cut_at_server(1, 0);
    world.cut_at_client(Some(0));
    // Another person has the secret.
    world.connect(2);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Ended(Refused)"), 1);
    assert_eq!(given(&world, id), 0);
    assert_eq!(world.coverage.of("server: Open(Resumed) with replay"), 0);
}

#[test]
fn a_stranger_destroys_nothing() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    world.imposter(2);
    let waiting = |world: &World| world.conns.keys().copied().max().unwrap();
    let number = waiting(&world);
    world.deliver_to_server(number);
    world.let_in(number, true, true);
    assert_eq!(world.coverage.of("close: 3972"), 1);
    arrive(&mut world);
    // Nor has it raised the attempt.
    world.cut_at_client(None);
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Open(Resumed) without replay"), 1);
    let world = end(world);
    assert_eq!(told(&world, id), Some(Told::Handled));
}

#[test]
fn a_twin_with_the_same_secret_ends_the_session_of_the_other() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    arrive(&mut world);
    world.imposter(1);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Ended(Superseded)"), 1);
    assert!(world.gave_up);
    assert_eq!(told(&world, id), Some(Told::Unknown));
}

#[test]
fn handlers_that_await_requests_of_each_other_do_not_stop() {
    let mut settings = settings();
    for end in &mut settings.ends {
        end.limits.messages = 1;
    }
    let mut world = connected(settings);
    for _ in 0..5 {
        send(&mut world, Side::Client);
        send(&mut world, Side::Server);
    }
    arrive(&mut world);
    // Each handler asks before it is done.
    for _ in 0..5 {
        for side in [Side::Client, Side::Server] {
            assert!(world.running(side, world.some_key()) > 0);
            world.ask(side, world.some_key(), None, None);
        }
        arrive(&mut world);
        for side in [Side::Client, Side::Server] {
            let last = world.running(side, world.some_key());
            assert_eq!(last, 2, "the message and the other end's request");
        }
        for side in [Side::Client, Side::Server] {
            finish_all(&mut world, side);
        }
        arrive(&mut world);
        world.advance(1_000, true);
        arrive(&mut world);
    }
    let world = end(world);
    assert_eq!(world.coverage.of("client: request: response"), 5);
    assert_eq!(world.coverage.of("server: request: response"), 5);
}

#[test]
fn a_handler_may_make_any_number_of_requests_in_bounded_memory() {
    let mut settings = settings();
    settings.serial = [false, false];
    let mut world = connected(settings);
    // Its handler runs all the time.
    let id = send(&mut world, Side::Client);
    arrive(&mut world);
    for _ in 0..2_000 {
        world.ask(Side::Server, world.some_key(), None, None);
        arrive(&mut world);
        finish_all(&mut world, Side::Client);
        arrive(&mut world);
    }
    assert_eq!(world.coverage.of("server: request: response"), 2_000);
    assert!(world.coverage.of("frame: Got") >= 2_000 / 64);
    assert_eq!(told(&world, id), None);
    assert!(world.client.kept() < 400, "{}", world.client.kept());
    end(world);
}

#[test]
fn nothing_that_is_handled_in_the_store_is_given_again_after_a_kill() {
    let mut world = connected(settings());
    let ids: Vec<usize> = (0..4).map(|_| send(&mut world, Side::Client)).collect();
    arrive(&mut world);
    world.finish(Side::Server, world.some_key(), 0, 0);
    world.finish(Side::Server, world.some_key(), 0, 0);
    world.restart(true);
    let world = end(world);
    let counts: Vec<usize> = ids.iter().map(|id| given(&world, *id)).collect();
    assert_eq!(counts, [1, 1, 2, 2]);
    assert!(
        ids.iter()
            .all(|id| told(&world, *id) == Some(Told::Handled))
    );
}

#[test]
fn a_new_secret_counts_owners_from_the_first() {
    let mut world = connected(settings());
    world.restart(true);
    arrive(&mut world);
    connect(&mut world);
    // The client finds that the server counts wrongly, and goes on with another secret.
    let wrong = Frame::Ack(Counts {
        handled: 1_000,
        sent: 0,
    });
    world.forbid(Side::Client, wrong, 3_470);
    arrive(&mut world);
    let id = world.account.entries.len();
    world.ask(Side::Client, None, None, None);
    world.connect(1);
    let number = world.conns.keys().copied().max().unwrap();
    reach(&mut world, number);
    assert_eq!(given(&world, id), 1, "it rode");
    // The welcome is lost, and so is the process that was asked.
    world.cut_at_client(None);
    world.restart(true);
    connect(&mut world);
    assert_eq!(given(&world, id), 2);
    finish_all(&mut world, Side::Server);
    let world = end(world);
    assert_eq!(world.coverage.of("client: request: response"), 1);
}

#[test]
fn a_connection_that_the_client_has_closed_ends_nothing() {
    let mut world = connected(settings());
    world.garble(Side::Client);
    world.imposter(1);
    let twin = world.conns.keys().copied().max().unwrap();
    reach(&mut world, twin);
    assert_eq!(world.coverage.of("close: 3970"), 1);
    // The client closes for what it cannot read, before it learns of its twin.
    arrive(&mut world);
    assert_eq!(world.coverage.of("close: 3471"), 1);
    assert!(!world.gave_up);
}

#[test]
fn of_hellos_that_wait_the_newest_of_the_same_person_goes_on() {
    let mut world = connected(settings());
    world.cut_at_client(None);
    // The store takes its time over the second connection, so the others wait.
    world.store_waits = true;
    world.connect(1);
    reach(&mut world, 2);
    world.cut_at_client(None);
    world.connect(1);
    world.cut_at_client(None);
    world.connect(1);
    reach(&mut world, 4);
    // An older one arrives after it, and a stranger with a copy of the secret.
    reach(&mut world, 3);
    assert_eq!(world.coverage.of("close: 3971"), 1);
    world.imposter(2);
    reach(&mut world, 5);
    assert_eq!(world.coverage.of("close: 1013"), 1);
    world.store_waits = false;
    arrive(&mut world);
    while world.work_at_store(Treat::Answer) {}
    arrive(&mut world);
    assert_eq!(world.client.phase(), Phase::Up);
    end(world);
}

#[test]
fn a_session_is_as_old_as_its_first_hello_however_late_it_is_let_in_and_however_slow_its_clock() {
    for (slow_clock, after, away, waits) in [
        (false, 500, 0, 0),
        (false, 500, 0, 5_000),
        (true, 900, 200_000, 0),
    ] {
        let mut world = World::new(Settings {
            slow_clock,
            ..settings()
        });
        world.restart(false);
        // Two clocks may differ by so much that the first hello may be from before the end of the memory's first minute.
        world.advance(limits::YOUNG_MS + after, true);
        let id = send(&mut world, Side::Client);
        world.connect(1);
        world.cut_at_client(Some(0));
        world.advance(away, true);
        world.connect(1);
        let number = world.conns.keys().copied().max().unwrap();
        world.deliver_to_server(number);
        world.advance(waits, true);
        world.let_in(number, true, true);
        arrive(&mut world);
        assert_eq!(told(&world, id), Some(Told::Unknown), "{after}");
        end(world);
    }
}

#[test]
fn after_one_blamed_message_that_takes_its_time_the_others_wait_no_longer() {
    let mut world = connected(settings());
    let ids: Vec<usize> = (0..10).map(|_| send(&mut world, Side::Client)).collect();
    let number = world.conns.keys().copied().max().unwrap();
    world.cut_at_server_with(number, 1_009);
    arrive(&mut world);
    connect(&mut world);
    let count = |world: &World| ids.iter().filter(|id| given(world, **id) == 1).count();
    assert_eq!(count(&world), 1, "alone");
    world.advance(5_000, true);
    arrive(&mut world);
    assert_eq!(count(&world), 10);
    end(world);
}

#[test]
fn a_held_up_hello_that_has_sent_brings_nothing_back_in_a_young_memory() {
    let mut world = World::new(settings());
    world.connect(1);
    let id = send(&mut world, Side::Client);
    reach(&mut world, 1);
    finish_all(&mut world, Side::Server);
    assert_eq!(given(&world, id), 1);
    // The welcome is lost. A proxy answers the next handshake, holds the hello up, and the client waits.
    world.cut_at_client(None);
    world.connect(1);
    world.restart_behind_a_slow_proxy(5_000);
    reach(&mut world, 2);
    while world.busy_to_client() {
        world.deliver_to_client();
    }
    deliver_all(&mut world, 2);
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn nor_does_it_when_its_client_has_gone_and_comes_back() {
    let mut world = World::new(settings());
    world.connect(1);
    let id = send(&mut world, Side::Client);
    reach(&mut world, 1);
    finish_all(&mut world, Side::Server);
    assert_eq!(given(&world, id), 1);
    world.cut_at_client(None);
    world.connect(1);
    world.cut_at_client(None);
    world.restart_behind_a_slow_proxy(5_000);
    reach(&mut world, 2);
    world.connect(1);
    while world.waiting_to_be_let_in().next().is_none() {
        world.deliver_to_server(3);
    }
    world.let_in(3, true, true);
    while world.busy_to_client() {
        world.deliver_to_client();
    }
    deliver_all(&mut world, 3);
    assert_eq!(world.check(), Ok(()));
}

/// Everything that can arrive does, without a judgement.
fn move_on(world: &mut World) {
    for _ in 0..10 {
        let waiting: Vec<u64> = world.waiting_to_be_let_in().collect();
        for number in waiting {
            world.let_in(number, true, true);
        }
        let busy: Vec<u64> = world.busy_to_server().collect();
        for number in busy {
            world.deliver_to_server(number);
        }
        while world.busy_to_client() {
            world.deliver_to_client();
        }
    }
}

#[test]
fn a_message_that_kills_behind_a_slow_one_is_set_aside_in_the_end() {
    let mut world = connected(settings());
    let slow = send(&mut world, Side::Client);
    let fatal = world.account.entries.len();
    world.send(
        Side::Client,
        world.some_key(),
        10,
        Kind::Text,
        SendMode::default(),
        Some(Fatal::Kill),
    );
    world.end_turns();
    let behind = send(&mut world, Side::Client);
    // The handler of the first takes 6 s.
    let mut began = None;
    let mut deaths = 0;
    for _second in 0..1_000 {
        let owner = world.coverage.of("the server restarted with its store");
        move_on(&mut world);
        if world.coverage.of("the server restarted with its store") > owner {
            deaths += 1;
            began = None;
        }
        if world.may_connect() {
            world.connect(1);
            move_on(&mut world);
        }
        if world.running(Side::Server, world.some_key()) > 0 {
            let since = *began.get_or_insert(world.now);
            if world.now >= since + 6_000 {
                finish_all(&mut world, Side::Server);
            }
        }
        world.advance(1_000, true);
    }
    eprintln!(
        "T25 deaths {deaths}; given {}, {:?} {:?} {:?} {:?}",
        given(&world, slow),
        told(&world, slow),
        told(&world, fatal),
        told(&world, behind),
        world.check()
    );
    assert!(
        told(&world, fatal).is_some(),
        "{deaths} deaths in 1000 s, and nothing is set aside"
    );
}

#[test]
fn what_did_not_go_out_is_not_blamed() {
    let mut world = connected(settings());
    send(&mut world, Side::Client);
    let number = world.conns.keys().copied().max().unwrap();
    world.cut_at_server_with(number, 1_009);
    arrive(&mut world);
    connect(&mut world);
    // Alone; what is sent now waits, with a number.
    let ids = [(); 2].map(|()| send(&mut world, Side::Client));
    let number = world.conns.keys().copied().max().unwrap();
    world.cut_at_server_with(number, 1_009);
    arrive(&mut world);
    connect(&mut world);
    assert!(ids.iter().all(|id| given(&world, *id) == 1));
    end(world);
}

#[test]
fn a_new_owner_does_not_send_what_was_set_aside() {
    let mut world = connected(settings());
    let key = world.some_key();
    let fatal = Some(Fatal::Close(1_009));
    world.send(
        Side::Server,
        key,
        10,
        Kind::Text,
        SendMode::default(),
        fatal,
    );
    for _ in 0..4 {
        arrive(&mut world);
        if world.coverage.of("server: message unknown: SetAside") == 0 {
            world.connect(1);
        }
    }
    assert_eq!(world.coverage.of("server: message unknown: SetAside"), 1);
    // What takes its place has not gone out.
    world.restart(true);
    let hellos = world.coverage.of("frame: Hello");
    world.come_to_rest(1).unwrap();
    assert!(world.coverage.of("frame: Hello") <= hellos + 1);
    end(world);
}

#[test]
fn a_handler_of_a_lost_session_answers_no_request_of_the_next() {
    let mut world = connected(settings());
    world.ask(Side::Server, world.some_key(), None, None);
    arrive(&mut world);
    world.cut_at_client(None);
    arrive(&mut world);
    world.advance(120_001, true);
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Expired)"), 1);
    // It has the same number.
    world.ask(Side::Server, world.some_key(), None, None);
    arrive(&mut world);
    finish_all(&mut world, Side::Client);
    arrive(&mut world);
    assert_eq!(world.coverage.of("server: request: response"), 1);
    end(world);
}

#[test]
fn a_window_of_less_than_what_rides_holds_behind_that() {
    let mut settings = settings();
    settings.ends[1].limits.messages = 2;
    let mut world = connected(settings);
    for _ in 0..limits::RIDING_MESSAGES {
        send(&mut world, Side::Client);
        arrive(&mut world);
        finish_all(&mut world, Side::Server);
        world.flush();
        arrive(&mut world);
    }
    world.forge(vec![Frame::Message(World::nobodys(1)); 2]);
    arrive(&mut world);
    assert_eq!(world.coverage.of("close: 3474"), 0);
    world.forge([Frame::Message(World::nobodys(1))]);
    arrive(&mut world);
    assert_eq!(world.coverage.of("close: 3474"), 1);
}

#[test]
fn nobody_knows_of_a_request_whether_a_silent_store_has_it() {
    let mut world = connected(settings());
    world.store_waits = true;
    let id = world.account.entries.len();
    world.ask(Side::Server, world.some_key(), None, None);
    world.work_at_store(Treat::NoAnswer);
    for _ in 0..3 {
        world.advance(5_000, true);
    }
    assert_eq!(told(&world, id), Some(Told::Unknown));
    world.store_waits = false;
    arrive(&mut world);
    connect(&mut world);
    assert_eq!(given(&world, id), 1, "the next owner has it");
    end(world);
}

#[test]
fn an_end_acknowledges_by_half_of_its_own_window() {
    // The server's window is the smaller one, and then the client's.
    for (side, acknowledged) in [(Side::Server, 5), (Side::Client, 0)] {
        let mut settings = settings();
        settings.ends[side as usize].limits.messages = 10;
        let mut world = connected(settings);
        for _ in 0..5 {
            assert_eq!(world.coverage.of("client: message handled"), 0);
            send(&mut world, Side::Client);
            arrive(&mut world);
            finish_all(&mut world, Side::Server);
            arrive(&mut world);
        }
        // No time has passed.
        let handled = world.coverage.of("client: message handled");
        assert_eq!(handled, acknowledged, "{side:?}");
        end(world);
    }
}

#[test]
fn close_waits_for_answers_both_ways() {
    // The client's answer waits for a connection.
    let mut world = connected(settings());
    world.ask(Side::Server, world.some_key(), None, None);
    arrive(&mut world);
    world.cut_at_client(None);
    arrive(&mut world);
    finish_all(&mut world, Side::Client);
    world.close(5_000);
    assert!(!world.gave_up);
    connect(&mut world);
    assert_eq!(world.coverage.of("server: request: response"), 1);
    end(world);
    // The server's waits for its handler.
    let mut world = connected(settings());
    world.ask(Side::Client, None, None, None);
    arrive(&mut world);
    world.close(5_000);
    assert!(!world.gave_up);
    finish_all(&mut world, Side::Server);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: request: response"), 1);
    end(world);
}

#[test]
fn what_a_hello_or_welcome_says_is_received_frees_answers() {
    let mut settings = settings();
    settings.serial = [false, false];
    for end in &mut settings.ends {
        end.limits.requests = 300;
    }
    let mut world = connected(settings);
    // Its handler runs all the time, so no acknowledgement covers the answers.
    let id = send(&mut world, Side::Client);
    arrive(&mut world);
    for _ in 0..300 {
        world.ask(Side::Server, world.some_key(), None, None);
    }
    while world.busy_to_client() {
        world.deliver_to_client();
    }
    finish_all(&mut world, Side::Client);
    while world.busy_to_server().next().is_some() {
        world.deliver_to_server(1);
    }
    assert_eq!(world.coverage.of("server: request: response"), 256);
    // Whatever said that they have arrived is lost.
    assert_eq!(world.coverage.of("frame: Got"), 4);
    world.cut_at_server(1, 0);
    arrive(&mut world);
    connect(&mut world);
    assert_eq!(world.coverage.of("server: request: response"), 300);
    assert_eq!(told(&world, id), None);
    end(world);
}

#[test]
fn what_was_set_aside_in_one_epoch_is_nothing_in_the_next() {
    let mut world = connected(settings());
    let fatal = Some(Fatal::Close(1_009));
    let mode = SendMode::default();
    let key = world.some_key();
    world.send(Side::Server, key, 10, Kind::Text, mode, fatal);
    arrive(&mut world);
    let mut number = 1;
    for _ in 0..3 {
        world.connect(1);
        number += 1;
        reach(&mut world, number);
        // The store is busy with another message when the connection ends.
        world.store_waits = true;
        world.send(Side::Server, key, 10, Kind::Text, mode, None);
        arrive(&mut world);
        world.store_waits = world.coverage.of("server: message unknown: SetAside") > 0;
    }
    world.connect(1);
    world.deliver_to_server(number + 1);
    world.let_in(number + 1, true, false);
    world.store_waits = false;
    while world.work_at_store(Treat::Answer) {}
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Refused)"), 1);
    end(world);
}

#[test]
fn what_was_received_in_one_epoch_says_nothing_of_the_next() {
    let mut world = connected(settings());
    for _ in 0..5 {
        send(&mut world, Side::Server);
    }
    arrive(&mut world);
    world.cut_at_client(None);
    connect(&mut world);
    world.cut_at_client(None);
    world.connect(1);
    let number = world.conns.keys().copied().max().unwrap();
    world.deliver_to_server(number);
    world.let_in(number, true, false);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Refused)"), 1);
    // The store finds fault with a step that says so.
    send(&mut world, Side::Server);
    arrive(&mut world);
    end(world);
}

#[test]
fn a_stranger_does_not_learn_what_became_of_a_session() {
    let mut world = connected(settings());
    send(&mut world, Side::Client);
    world.cut_at_client(None);
    arrive(&mut world);
    world.advance(120_001, true);
    assert_eq!(world.coverage.of("server: Ended(Lost(Expired))"), 1);
    world.connect(2);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Ended(Refused)"), 1);
}

#[test]
fn a_session_that_ends_before_its_store_has_heard_of_it_has_its_own_verdict() {
    let mut world = connected(settings());
    world.cut_at_client(None);
    world.connect(1);
    let number = world.conns.keys().copied().max().unwrap();
    world.deliver_to_server(number);
    world.let_in(number, true, false);
    // The store is busy when the client answers the welcome of the second session, and then that is over as well.
    world.store_waits = true;
    send(&mut world, Side::Server);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Refused)"), 1);
    world.end_at_application(world.some_key(), true);
    world.store_waits = false;
    while world.work_at_store(Treat::Answer) {}
    arrive(&mut world);
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Full)"), 1);
    end(world);
}

#[test]
fn what_became_of_a_session_is_known_a_day_long() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    world.cut_at_client(Some(0));
    arrive(&mut world);
    world.advance(120_001, true);
    world.advance(limits::EXPIRED_TOMBSTONE_MS - 1, true);
    connect(&mut world);
    assert_eq!(world.coverage.of("client: Lost(Expired)"), 1);
    assert_eq!(told(&world, id), Some(Told::NotHandled));
    end(world);
}

#[test]
fn what_a_server_keeps_of_somebody_who_waits_to_be_let_in_is_bounded() {
    let large = vec![Frame::Message(World::nobodys(30_000)); 3];
    let many = vec![Frame::Awaited(1); 129];
    for frames in [large, many] {
        let mut world = World::new(settings());
        world.connect(1);
        world.forge(frames);
        while world.busy_to_server().next().is_some() {
            world.deliver_to_server(1);
        }
        assert_eq!(world.coverage.of("close: 3474"), 1);
        world.check().unwrap();
    }
}

#[test]
fn what_is_forbidden_breaks_one_rule_more_before_its_client_has_read_the_welcome() {
    let large = |bytes| World::nobodys(bytes);
    let out_of_step = Frame::Ack(Counts {
        handled: MAX_NUMBER,
        sent: 0,
    });
    // What is on its way, the last frame with its code by itself, and the code with which the server closes.
    let cases: [(&[Frame<_>], u16, Option<u16>); 8] = [
        // Nothing else may ride, of whatever size.
        (&[Frame::Volatile(large(101))], 1_009, Some(3_474)),
        (&[Frame::Got(MAX_NUMBER)], 3_470, Some(3_474)),
        // There is no room for it among what rides.
        (&[Frame::Message(large(70_001))], 1_009, Some(3_474)),
        // It rides and waits, until something else is in its way or its connection ends.
        (&[Frame::Message(large(101))], 1_009, None),
        (&[Frame::Awaited(MAX_NUMBER)], 3_470, None),
        (
            &[Frame::Request(large(101)), Frame::Volatile(large(101))],
            1_009,
            Some(3_474),
        ),
        // With the acknowledgement it is looked at in its order.
        (std::slice::from_ref(&out_of_step), 3_470, Some(3_470)),
        (
            &[Frame::Request(large(101)), out_of_step.clone()],
            3_470,
            Some(1_009),
        ),
    ];
    for (frames, code, closes) in cases {
        let mut settings = settings();
        settings.ends[1].limits.message_bytes = 100;
        let mut world = World::new(settings);
        world.restart(false);
        world.connect(1);
        world.deliver_to_server(1);
        world.let_in(1, true, true);
        for (at, frame) in frames.iter().enumerate() {
            let code = if at + 1 == frames.len() { code } else { 1_009 };
            world.forbid(Side::Server, frame.clone(), code);
            world.deliver_to_server(1);
        }
        world.check().unwrap();
        world.deliver_to_client();
        world.cut_at_client(None);
        let closed = [1_009, 3_470, 3_474].map(|code| world.coverage.of(&format!("close: {code}")));
        let expected = [1_009, 3_470, 3_474].map(|code| u64::from(closes == Some(code)));
        assert_eq!(closed, expected, "{frames:?}");
        connect(&mut world);
        end(world);
    }
}

#[test]
fn volatile_messages_fill_no_inbox_beyond_its_window() {
    let mut settings = settings();
    settings.ends[0].limits.messages = 3;
    let mut world = connected(settings);
    world.lazy[Side::Client as usize] = true;
    for _ in 0..5 {
        world.send_volatile(Side::Server, world.some_key());
    }
    arrive(&mut world);
    assert_eq!(world.client.volatile_dropped(), 2);
    end(world);
}

#[test]
fn a_request_that_is_cancelled_while_the_store_has_it_is_withdrawn() {
    let mut world = connected(settings());
    world.store_waits = true;
    let key = world.some_key();
    world.ask(Side::Server, key, None, None);
    world.cancel(Side::Server, key, 0);
    world.store_waits = false;
    while world.work_at_store(Treat::Answer) {}
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: withdrawn"), 1);
    end(world);
}

#[test]
fn an_answer_acknowledges_no_more_than_its_store_has() {
    let mut settings = settings();
    settings.serial = [false, false];
    let mut world = connected(settings);
    let id = send(&mut world, Side::Client);
    world.ask(Side::Client, None, None, None);
    arrive(&mut world);
    world.store_waits = true;
    let key = world.some_key();
    // The answer goes to the store before the message is done, and comes back after it.
    world.finish(Side::Server, key, 1, 7);
    world.finish(Side::Server, key, 0, 7);
    world.work_at_store(Treat::Answer);
    while world.busy_to_client() {
        world.deliver_to_client();
    }
    assert_eq!(world.coverage.of("client: request: response"), 1);
    assert_eq!(told(&world, id), None);
    world.store_waits = false;
    while world.work_at_store(Treat::Answer) {}
    let world = end(world);
    assert_eq!(told(&world, id), Some(Told::Handled));
}

#[test]
fn an_owner_that_was_taken_over_can_write_no_more() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Client);
    arrive(&mut world);
    // The client comes back before the server notices, to another process.
    world.cut_at_client(None);
    world.connect(1);
    let number = world.conns.keys().copied().max().unwrap();
    world.deliver_to_server(number);
    assert!(world.take_over(number));
    // What the first one is done with now is not counted, and it gives the session up.
    finish_all(&mut world, Side::Server);
    assert_eq!(world.coverage.of("server: Ended(TakenOver)"), 1);
    assert_eq!(world.coverage.of("close: 3970"), 1);
    arrive(&mut world);
    connect(&mut world);
    assert_eq!(given(&world, id), 2, "the third owner is sent it again");
    end(world);
}

#[test]
fn a_request_of_an_owner_that_is_gone_is_withdrawn() {
    let mut world = connected(settings());
    let key = world.key();
    world.ask(Side::Server, key, None, None);
    let id = world.account.entries.len() - 1;
    arrive(&mut world);
    assert_eq!(given(&world, id), 1);
    // The client acknowledges it, so the next owner does not send it again.
    world.advance(1_000, true);
    arrive(&mut world);
    world.restart(true);
    connect(&mut world);
    arrive(&mut world);
    assert_eq!(world.coverage.of("client: withdrawn"), 1);
    end(world);
}

#[test]
fn what_the_store_sends_again_is_not_said_to_be_not_handled() {
    let mut world = connected(settings());
    let id = send(&mut world, Side::Server);
    // It is lost on the way. Another process has the session for a moment, and then the first one again.
    world.cut_at_client(None);
    world.connect(1);
    let number = world.conns.keys().copied().max().unwrap();
    world.deliver_to_server(number);
    assert!(world.take_over(number));
    world.cut_at_client(None);
    connect(&mut world);
    arrive(&mut world);
    assert_eq!(given(&world, id), 1);
    assert_eq!(told(&world, id), Some(Told::Unknown));
    end(world);
}
