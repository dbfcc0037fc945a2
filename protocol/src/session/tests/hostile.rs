//! Ends that do not keep to the protocol, and corners that only they or a very bad network visit.

use super::*;
use crate::session::frame::{Credential, Lost, Why};

fn settled(outputs: &[Output<Text>]) -> Vec<String> {
    outputs
        .iter()
        .flat_map(|output| match output {
            Output::Handled(run) => run
                .into_iter()
                .map(|id| format!("{} handled", id.0))
                .collect(),
            Output::Settled(id, end) => vec![format!(
                "{} {}",
                id.0,
                match end {
                    End::NotHandled { why, .. } => format!("not: {why:?}"),
                    End::Unknown { why, .. } => format!("unknown: {why:?}"),
                }
            )],
            _ => Vec::new(),
        })
        .collect()
}

/// The messages and requests that were given, in order.
fn tokens(outputs: &[Output<Text>]) -> Vec<Token> {
    let token = |output: &Output<Text>| match output {
        Output::Message { token, .. } | Output::Request { token, .. } => Some(*token),
        _ => None,
    };
    outputs.iter().filter_map(token).collect()
}

fn welcome(outcome: Outcome, owner: u64, received: u64, sent: u64) -> Frame<Text> {
    Frame::Welcome(
        Welcome {
            outcome,
            epoch: 77,
            owner,
            received,
            handled: 0,
            first: 1,
            sent,
            limits: Options::default().limits,
            window_ms: 1,
            beat_ms: None,
            back: None,
        }
        .into(),
    )
}

#[test]
fn a_client_that_states_a_huge_window_is_sent_no_more_than_the_server_s_own_window() {
    let mut pair = Pair::with(Options::default());
    let mut huge = Options::default();
    huge.limits.messages = MAX_NUMBER;
    huge.limits.bytes = MAX_NUMBER;
    pair.client = Client::new(huge, [0; 16]);
    pair.connect();
    pair.arrive();
    let now = pair.now;
    while pair.server().send(now, Data::from(""), PLAIN).is_ok() {
        pair.server().gathered(now);
        pair.settle();
        pair.to_client.clear();
    }
    assert_eq!(pair.server().unacknowledged(), (limits::MESSAGES, 0));
}

#[test]
fn outputs_without_a_number_do_not_pile_up() {
    let mut pair = Pair::connected();
    pair.at_server();
    let (now, connection) = (pair.now, pair.connection);
    let credential = Credential::parse(&"c".repeat(4096)).unwrap();
    for _ in 0..50_000 {
        pair.server().receive(now, connection, Frame::Stalled(7));
        pair.server()
            .receive(now, connection, Frame::Credential(credential.clone()));
    }
    pair.settle();
    let outputs = pair.at_server();
    assert!(
        outputs.len() < 5_000,
        "{} outputs of {} MB wait",
        outputs.len(),
        50_000 * 4096 / 1_000_000
    );
}

#[test]
fn only_what_may_ride_is_kept_before_a_client_is_let_in() {
    let mut pair = Pair::with(Options::default());
    pair.connect();
    let hello = read(Data::Text(pair.to_server[0].clone().into())).unwrap();
    let mut arrival: Arrival<Text> = Arrival::new(pair.now, &pair.options);
    arrival.receive(hello).unwrap();
    let mut text = String::from("~end sent=0 was-handled=0 was-also=2");
    for n in 2..10_000_u64 {
        text.push_str(&format!(",{}", n * 2));
    }
    text.push_str(" was-given=20000 was-received=20000");
    let mut accepted = 0;
    let mut ranges = 0;
    for _ in 0..8 {
        let frame: Frame<Text> = read(Data::Text(text.clone().into())).unwrap();
        if let Frame::End { verdict, .. } = &frame {
            ranges += verdict.also.len();
        }
        if arrival.receive(frame).is_ok() {
            accepted += 1;
        }
    }
    assert_eq!(
        accepted,
        0,
        "frames of {} bytes before anybody is let in, {} MB in memory",
        text.len(),
        ranges * 16 / 1_000_000
    );
}

#[test]
fn many_requests_of_an_end_accuse_nobody() {
    let mut options = Options::default();
    options.limits.requests = 1_000;
    let mut pair = Pair::connected_with(options);
    pair.client.set_writable(pair.now, false);
    for _ in 0..1_300 {
        if pair.client.ask(pair.now, Data::from("1"), None).is_err() {
            break;
        }
    }
    // 1000 <= 1000 + 256: more by answers, which the client owes the server.
    let now = pair.now;
    for _ in 0..300 {
        pair.server().ask(now, Data::from("2"), None).unwrap();
    }
    pair.settle();
    pair.reach_client();
    for token in tokens(&pair.at_client()) {
        pair.client
            .answer(now, token, Answer::Response(Data::from("3")))
            .unwrap();
    }
    pair.settle();
    pair.server().ask(now, Data::from("2"), None).unwrap();
    pair.settle();
    pair.reach_client();
    assert_eq!(pair.closed.0, [0_u16; 0], "the server keeps to every limit");
}

fn up(pair: &mut Pair, owner: u64) {
    pair.connect();
    pair.client
        .receive(pair.now, welcome(Outcome::Continued, owner, 0, 0));
    pair.settle();
}

#[test]
fn connections_that_ended_otherwise_are_not_counted() {
    let mut pair = Pair::connected();
    let id = pair.send("[1]", PLAIN);
    pair.to_server.clear();
    pair.client.closed(pair.now, 1009);
    pair.settle();
    for _ in 0..2 {
        up(&mut pair, 1);
        pair.client.closed(pair.now, 1009);
        pair.settle();
        for _ in 0..5 {
            up(&mut pair, 1);
            pair.client.closed(pair.now, 1006);
            pair.settle();
        }
    }
    up(&mut pair, 1);
    pair.client.closed(pair.now, 3471);
    pair.settle();
    let ends = settled(&pair.at_client());
    assert_eq!(ends, [""; 0], "not three in a row; {id:?}");
}

#[test]
fn what_goes_out_beside_a_suspect_clears_it() {
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.gathered();
    assert!(
        pair.client
            .send_volatile(pair.now, Data::from("[\"kills\"]"))
    );
    pair.client.closed(pair.now, 1006);
    pair.settle();
    for owner in 2..=5 {
        pair.to_server.clear();
        up(&mut pair, owner);
        // The server is given it, and dies of the volatile message while it is handled.
        let _ = pair
            .client
            .send_volatile(pair.now, Data::from("[\"kills\"]"));
        pair.settle();
        pair.client.closed(pair.now, 1006);
        pair.settle();
    }
    let ends = settled(&pair.at_client());
    assert_eq!(ends, [""; 0], "the innocent one");
}

#[test]
fn what_arrives_makes_a_late_acknowledgement_go() {
    let mut pair = Pair::connected();
    let now = pair.now;
    for text in ["[1]", "[2]"] {
        pair.server().send(now, Data::from(text), PLAIN).unwrap();
        pair.server().gathered(now);
        pair.settle();
    }
    pair.reach_client();
    let tokens = tokens(&pair.at_client());
    // The first is handled, the second is not, and no timer fires.
    pair.client.handled(now, tokens[0]);
    pair.settle();
    for second in 1..=20 {
        let now = now.after(second * 2_000);
        pair.now = now;
        pair.client.receive(now, Frame::Message(Data::from("[3]")));
        pair.settle();
    }
    assert_eq!(pair.to_server, ["~a 1 0"], "40 s later");
}

#[test]
fn closing_waits_until_an_answer_is_confirmed() {
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.server().ask(now, Data::from("[1]"), None).unwrap();
    pair.settle();
    pair.reach_client();
    let token = tokens(&pair.at_client())[0];
    pair.client
        .answer(now, token, Answer::Response(Data::from("[2]")))
        .unwrap();
    pair.settle();
    assert_eq!(pair.to_server, ["~r 1 1 [2]"]);
    pair.cut();
    pair.client.close(now, now.after(60_000));
    pair.settle();
    assert_ne!(
        pair.client.phase(),
        Phase::Ended,
        "it has an answer to send, and a minute"
    );
}

#[test]
fn who_may_not_resume_is_refused_in_a_young_memory_too() {
    let mut store = MemoryStore::new(Time::default(), MemoryOptions::default());
    ask(&mut store, 1, Question::Open(claim(1, 1)));
    let mut again = claim(1, 3);
    again.has_sent = true;
    again.may_resume = false;
    let Reply::Opened(opening) = ask(&mut store, 2, Question::Open(again)) else {
        panic!("it is there");
    };
    let Found::Lost(lost) = opening.found else {
        panic!("lost")
    };
    assert_eq!(lost.why, Why::Refused);
}

#[test]
fn a_client_that_states_more_than_it_has_sent_gets_no_larger_window() {
    let mut options = narrow(64);
    options.limits.bytes = 100_000;
    let mut pair = Pair::connected_with(options);
    for _ in 0..64 {
        pair.send("[1]", PLAIN);
        pair.gathered();
    }
    pair.arrive();
    pair.handle_at_server();
    pair.pass(1_000);
    pair.arrive();
    pair.cut();
    pair.connect();
    let hello = pair.to_server[0].replace(" sent=64 ", " sent=9007199254740991 ");
    assert_ne!(hello, pair.to_server[0]);
    pair.to_server = vec![hello];
    pair.reach_server();
    let (now, connection) = (pair.now, pair.connection);
    let big: &'static str = "x".repeat(10_000).leak();
    let mut taken = 0;
    for _ in 0..2_000 {
        pair.server()
            .receive(now, connection, Frame::Message(Data::from(big)));
        if !pair.server().is_connected() {
            break;
        }
        taken += 1;
    }
    assert!(
        taken <= 10,
        "{taken} messages of 10 kB into a window of 100 kB, in the same process"
    );
}

#[test]
fn an_end_that_counts_otherwise_is_out_of_step() {
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.send("[2]", PLAIN);
    pair.gathered();
    pair.client.close(pair.now, pair.now);
    pair.settle();
    pair.to_server.drain(..2);
    pair.reach_server();
    assert_eq!(pair.closed.1, [close::OUT_OF_STEP]);
}

fn small(owner: u64, received: u64, message_bytes: u64) -> Frame<Text> {
    let Frame::Welcome(mut it) = welcome(Outcome::Continued, owner, received, 0) else {
        panic!("it is one");
    };
    it.limits.message_bytes = message_bytes;
    Frame::Welcome(it)
}

#[test]
fn a_request_that_may_have_been_given_never_goes_into_a_fresh_session() {
    let mut pair = Pair::connected();
    let id = pair.client.ask(pair.now, Data::from("[1]"), None).unwrap();
    pair.settle();
    assert_eq!(pair.to_server, ["~q [1]"]);
    pair.client.closed(pair.now, 1006);
    pair.settle();
    // Another owner has it as received; the connection takes nothing at the moment, and ends.
    pair.connect();
    pair.client.set_writable(pair.now, false);
    pair.client
        .receive(pair.now, welcome(Outcome::Continued, 2, 1, 0));
    pair.settle();
    pair.client.closed(pair.now, 1006);
    pair.settle();
    pair.to_server.clear();
    pair.connect();
    let lost = Lost {
        why: Why::Expired,
        verdict: None,
    };
    pair.client
        .receive(pair.now, welcome(Outcome::Lost(lost), 1, 0, 0));
    pair.settle();
    let outputs = pair.at_client();
    assert_eq!(pair.to_server[1..], ["~a 0 0"], "{outputs:?} {id:?}");
}

#[test]
fn a_request_that_may_have_been_given_is_unknown() {
    let mut pair = Pair::connected();
    let id = pair.client.ask(pair.now, Data::from("[1]"), None).unwrap();
    pair.settle();
    pair.reach_server();
    assert!(
        pair.at_server()
            .iter()
            .any(|o| matches!(o, Output::Request { .. })),
        "it is given"
    );
    pair.client.closed(pair.now, 1006);
    pair.settle();
    pair.connect();
    pair.client.receive(pair.now, small(2, 1, 2));
    pair.settle();
    let outputs = pair.at_client();
    let not = Output::Answered(id, AskEnd::NotHandled(NotHandled::TooLarge));
    assert!(!outputs.contains(&not), "{outputs:?}");
}

#[test]
fn volatile_messages_that_wait_are_bounded_in_bytes() {
    let mut pair = Pair::connected();
    let (now, connection) = (pair.now, pair.connection);
    let big: &'static str = "x".repeat(1_048_576).leak();
    for _ in 0..2_000 {
        pair.server()
            .receive(now, connection, Frame::Volatile(Data::from(big)));
    }
    let bytes: usize = pair
        .at_server()
        .iter()
        .map(|o| match o {
            Output::Volatile(payload) => payload.bytes(),
            _ => 0,
        })
        .sum();
    assert!(
        bytes <= 2 * 1_048_576,
        "{} MiB wait, with a window of 1 MiB",
        bytes >> 20
    );
}

#[test]
fn acknowledgements_wait_for_a_connection_that_takes_no_more() {
    let mut pair = Pair::connected();
    let (now, connection) = (pair.now, pair.connection);
    pair.server().set_writable(now, connection, false);
    for n in 1..=10_000 {
        pair.server()
            .receive(now, connection, Frame::Message(Data::from("1")));
        pair.server().receive(now, connection, Frame::Awaited(n));
        pair.settle();
        pair.handle_at_server();
    }
    assert!(
        pair.to_client.len() < 1_000,
        "{} frames",
        pair.to_client.len()
    );
}

#[test]
fn an_acknowledgement_that_waits_for_the_connection_asks_for_no_timer() {
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.server().send(now, Data::from("[1]"), PLAIN).unwrap();
    pair.server().gathered(now);
    pair.settle();
    pair.client.set_writable(now, false);
    pair.reach_client();
    let token = tokens(&pair.at_client())[0];
    pair.client.handled(now, token);
    pair.settle();
    let late = now.after(limits::ACK_DELAY_MS);
    pair.client.timer(late);
    assert!(pair.client.next_timer().is_none_or(|next| next > late));
    pair.client.set_writable(late, true);
    pair.settle();
    assert_eq!(pair.to_server, ["~a 1 0"]);
}

#[test]
fn connections_without_a_reader_pile_up_nothing() {
    let mut pair = Pair::connected();
    for _ in 0..5_000 {
        pair.cut();
        pair.connect();
        pair.arrive();
    }
    let outputs = pair.at_server().len();
    assert!(outputs < 1_000, "{outputs}");
}

#[test]
fn nothing_waits_alone_once_something_is_beside_it() {
    let mut pair = Pair::connected();
    for _ in 0..20 {
        pair.send("[1]", PLAIN);
    }
    pair.gathered();
    let id = pair.client.ask(pair.now, Data::from("[2]"), None).unwrap();
    pair.client.closed(pair.now, 1009);
    pair.settle();
    pair.to_server.clear();
    up(&mut pair, 1);
    let mut seconds = 0;
    while !pair.to_server.contains(&"~q [2]".to_owned()) && seconds < 1_000 {
        pair.pass(1_000);
        seconds += 1;
    }
    assert!(
        seconds <= 5,
        "the request {id:?} goes out after {seconds} s"
    );
}

#[test]
fn a_new_owner_counts_and_cancels_what_the_earlier_one_has_asked() {
    let mut options = Options::default();
    options.limits.requests = 2;
    let mut pair = Pair::connected_with(options);
    let now = pair.now;
    let answered = pair.server().ask(now, Data::from("1"), None).unwrap();
    pair.server().ask(now, Data::from("2"), None).unwrap();
    pair.settle();
    pair.arrive();
    let asked = tokens(&pair.at_client());
    let answer = || Answer::Response(Data::from("3"));
    pair.client.answer(now, asked[0], answer()).unwrap();
    pair.settle();
    // Everything is acknowledged, so the new owner has nothing to send again.
    pair.pass(limits::ACK_DELAY_MS);
    pair.arrive();
    let outputs = pair.at_server();
    let end = AskEnd::Response(Data::from("3"));
    assert!(outputs.contains(&Output::Answered(answered, end)));
    pair.server = None;
    pair.client.closed(now, 1006);
    pair.settle();
    pair.connect();
    pair.arrive();
    let outputs = pair.at_client();
    assert!(
        outputs.contains(&Output::Withdrawn(asked[1])),
        "{outputs:?}"
    );
    assert!(!outputs.contains(&Output::Withdrawn(asked[0])));
    // One of the two places is taken until the answer comes, and the answer is nobody's.
    let ask = |pair: &mut Pair| pair.server().ask(now, Data::from("4"), None).is_ok();
    assert!(ask(&mut pair));
    assert!(!ask(&mut pair), "the client takes no more than 2");
    let refused = Answer::Refused(frame::Refusal::Cancelled);
    pair.client.answer(now, asked[1], refused).unwrap();
    pair.settle();
    pair.arrive();
    assert!(ask(&mut pair));
    pair.settle();
    pair.arrive();
    let given = tokens(&pair.at_client());
    assert_eq!(given.len(), 2, "none is refused");
    for token in given {
        pair.client.answer(now, token, answer()).unwrap();
    }
    pair.settle();
    pair.arrive();
    let outputs = pair.at_server();
    let ends = outputs.iter();
    let ends = ends.filter(|output| matches!(output, Output::Answered(_, AskEnd::Response(_))));
    assert_eq!(ends.count(), 2, "{outputs:?}");
}

#[test]
fn what_lost_sessions_have_left_unread_does_not_pile_up() {
    let mut pair = Pair::connected();
    for _ in 0..50 {
        let now = pair.now;
        for _ in 0..10 {
            pair.server().send(now, Data::from("1"), PLAIN).unwrap();
        }
        pair.server().ask(now, Data::from("2"), None).unwrap();
        pair.settle();
        pair.server().gathered(now);
        pair.arrive();
        // The server forgets everything.
        pair.server = None;
        pair.store = MemoryStore::new(Time::default(), MemoryOptions::default());
        pair.client.closed(now, 1006);
        pair.settle();
        pair.connect();
        pair.arrive();
    }
    let outputs = pair.at_client();
    assert!(outputs.len() < 30, "{} outputs wait", outputs.len());
    assert_eq!(
        tokens(&outputs).len(),
        11,
        "those of the last one are there"
    );
    assert!(outputs.contains(&Output::Dropped(49 * 11)), "{outputs:?}");
    let is_lost = |output: &&Output<Text>| matches!(output, Output::Lost(_));
    assert!(outputs.iter().filter(is_lost).count() <= 3, "{outputs:?}");
}

#[test]
fn a_server_that_slept_too_long_has_lost_its_session_and_not_its_client() {
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.reach_server();
    pair.now = pair.now.after(limits::WINDOW_MS * 2 + 1);
    // The store hears of another session first.
    ask(
        &mut pair.store,
        pair.now.as_millis(),
        Question::Open(claim(5, 1)),
    );
    pair.handle_at_server();
    pair.settle();
    assert_eq!(pair.closed.1, [close::LOST]);
    pair.client.closed(pair.now, close::LOST);
    pair.settle();
    assert_eq!(pair.client.phase(), Phase::Down, "it comes back");
    pair.connect();
    pair.arrive();
    let outputs = pair.at_client();
    assert!(outputs.contains(&Output::Lost(Why::Expired)), "{outputs:?}");
    assert_eq!(settled(&outputs), ["1 unknown: Lost(Expired)"]);
}

#[test]
fn nothing_is_given_any_more_while_the_store_is_asked_to_end_the_session() {
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.reach_server();
    // The client has another connection, and may not resume.
    let hello = frame::Hello {
        secret: Secret::new([0; 16]),
        attempt: 2,
        epoch: 77,
        received: 0,
        handled: 0,
        first: 1,
        sent: 1,
        limits: Options::default().limits,
        age_ms: 0,
        credential: None,
    };
    let mut arrival = Arrival::new(pair.now, &pair.options);
    arrival.receive(Frame::Hello(hello.into())).unwrap();
    pair.prompt = false;
    let (now, older) = (pair.now, pair.connection);
    let identity = Identity("Ada".to_owned());
    let newer = Connection(9);
    pair.server()
        .attach(now, newer, arrival, identity, false, 78);
    pair.settle();
    pair.answer_all();
    pair.settle();
    // It is still on its way on the older connection when the verdict is on its way to the store.
    let late = Frame::Message(Data::from("[2]"));
    pair.server().receive(now, older, late);
    let outputs = pair.at_server();
    assert_eq!(tokens(&outputs), [], "{outputs:?}");
    pair.answer_all();
    pair.settle();
    assert_eq!(pair.closed.1, [close::SUPERSEDED]);
    let welcome = pair.to_client.last().unwrap();
    let lost = "outcome=lost why=refused was-handled=0 was-given=0 was-received=1";
    assert!(welcome.contains(lost), "{welcome}");
    let outputs = pair.at_server();
    assert_eq!(tokens(&outputs), [], "{outputs:?}");
}

#[test]
fn the_counts_of_an_epoch_that_is_lost_mean_nothing_in_the_next() {
    let mut options = Options::default();
    options.limits.bytes = 10;
    options.limits.message_bytes = 40_000;
    let mut pair = Pair::connected_with(options);
    for _ in 0..3 {
        pair.send("[1]", PLAIN);
        pair.gathered();
    }
    pair.arrive();
    // The session is lost, and so is the welcome that says so. Then the process that made the next epoch is gone.
    let now = pair.now;
    pair.server().lose(now, Why::Full);
    pair.settle();
    pair.client.closed(now, close::LOST);
    pair.settle();
    pair.connect();
    pair.reach_server();
    pair.cut();
    pair.server = None;
    pair.connect();
    pair.reach_server();
    // What rides has room for 65,536 bytes, and what an earlier owner may have had, for more.
    let connection = pair.connection;
    let large = || Frame::Message(Data::Text("1".repeat(30_000).into()));
    for _ in 0..3 {
        pair.server().receive(now, connection, large());
    }
    pair.settle();
    assert_eq!(pair.closed.1, [close::LOST, close::LIMIT]);
}
