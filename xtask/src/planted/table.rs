//! The bugs, and the tests that must find them.
//!
//! A place is short and occurs exactly once in its file; `cargo xtask test lint` reports when it no longer does.
//!
//! A row reads `[promise] what, file: from => to, test;`.

use super::{Bug, Named, test};

/// The core in random worlds.
const SEEDS: Named = test(
    "tests/simulation/tests/promises.rs",
    "seeds_find_nothing_and_try_every_input_in_every_state",
);

/// One connection in a page that is busy at random.
const BUSY: Named = test(
    "tests/simulation/tests/promises.rs",
    "a_busy_page_keeps_a_living_server_and_gives_up_a_dead_one",
);

table! { TABLE:
    // ----- the core, found by the simulation
    [6] "a late close of an earlier socket counts", "client/src/connection/mod.rs":
        "if self.is_current(generation) {"
        => "if self.is_current(generation) || matches!(report, Report::Closed(_)) {", SEEDS;
    [6] "a late open of an earlier socket counts", "client/src/connection/mod.rs":
        "if self.is_current(generation) {"
        => "if self.is_current(generation) || matches!(report, Report::Opened(_)) {", SEEDS;
    [29] "the timer of a wait is lost", "client/src/connection/timer.rs":
        "State::Waiting { until, .. } => set(Timer::Retry, *until),"
        => "State::Waiting { .. } => {}", SEEDS;
    [13] "the connect timeout is lost", "client/src/connection/timer.rs":
        "Timer::Resolve | Timer::Connect => self.attempt_is_slow(now),"
        => "Timer::Resolve => self.attempt_is_slow(now),
                Timer::Connect => {}", SEEDS;
    [18] "the failures are forgotten at open", "client/src/connection/attempt.rs":
        "let reconnected = self.totals.of(Count::Opens) > 0;"
        => "let reconnected = self.totals.of(Count::Opens) > 0; self.failures = 0;", SEEDS;
    [18] "any uptime counts as stable", "client/src/connection/attempt.rs":
        "&& now.since(open.since) >= self.options.values().stable_after"
        => "&& now >= open.since", SEEDS;
    [6] "two sockets after reconnect", "client/src/connection/attempt.rs":
        "self.effects.push_back(given_up);"
        => "drop::<Effect<P>>(given_up);", SEEDS;
    [6] "a replaced connection is closed without the code that was given", "client/src/connection/attempt.rs":
        "self.let_go_with(&loss, code, reason);"
        => "self.let_go(&loss);", SEEDS;
    [25] "expired messages do not count as a change of the queue", "client/src/connection/queue.rs":
        "self.changed = true;
                expired.push(message);"
        => "expired.push(message);", SEEDS;
    [6] "the search for a URL continues", "client/src/connection/attempt.rs":
        "self.effects.push_back(Effect::CancelResolve { generation });"
        => "", SEEDS;
    [7] "the cap is applied after drawing", "client/src/connection/backoff.rs":
        "draw(min, ceiling.min(max).max(min), chance)"
        => "draw(min, ceiling.max(min), chance).min(options.max_delay)", SEEDS;
    [14] "one retry too many", "client/src/connection/attempt.rs":
        "Some(max) if self.failures >= max =>"
        => "Some(max) if self.failures > max =>", SEEDS;
    [11] "attempts are refused forever", "client/src/connection/attempt.rs":
        "(None, ClosePolicy::RetryOnce) if refused_before =>"
        => "(None, ClosePolicy::RetryOnce) if refused_before && self.failures > 1_000 =>", SEEDS;
    [25] "the queue is reversed", "client/src/connection/queue.rs":
        "self.account(&message);
        self.lane(lane).push_back(message);"
        => "self.account(&message);
        self.lane(lane).push_front(message);", SEEDS;
    [25] "a returned message goes to the end", "client/src/connection/queue.rs":
        "self.lane(lane).push_front(message);"
        => "self.lane(lane).push_back(message);", SEEDS;
    [25] "a returned message is lost", "client/src/connection/sending.rs":
        "self.queue.put_back(lane, message);"
        => "drop((lane, message));", SEEDS;
    [25] "a volatile message is sent later", "client/src/connection/sending.rs":
        "if volatile {"
        => "if volatile && self.failures > 1_000 {", SEEDS;
    [26] "the newest message makes room", "client/src/connection/queue.rs":
        ".ordinary
            .pop_front()
            .or_else"
        => ".ordinary
            .pop_back()
            .or_else", SEEDS;
    [26] "the queue takes one too many", "client/src/connection/sending.rs":
        "&& self.queue.len() < self.options.values().max_queued_messages as usize"
        => "&& self.queue.len() <= self.options.values().max_queued_messages as usize", SEEDS;
    [25] "the queue flows before open was delivered", "client/src/connection/open.rs":
        "flow: Flow::Announcing,"
        => "flow: Flow::Flowing,", SEEDS;
    [25] "the gate is ignored", "client/src/connection/mod.rs":
        "open.flow = if self.options.values().gate && !ready {"
        => "open.flow = if self.options.values().gate && !ready && self.failures > 1_000 {", SEEDS;
    [25] "what an open handler sends does not go ahead of the queue", "client/src/connection/sending.rs":
        "let lane = if mode.first || opening {"
        => "let lane = if mode.first || (opening && self.failures > 1_000) {", SEEDS;
    [26] "the high mark is ignored", "client/src/connection/sending.rs":
        "if open.buffered >= u64::from(self.options.values().high_water_mark) {"
        => "if open.buffered == u64::MAX {", SEEDS;
    [26] "no gap between the marks", "client/src/connection/sending.rs":
        "u64::from(self.options.values().low_water_mark).saturating_add(1)"
        => "u64::from(self.options.values().high_water_mark)", SEEDS;
    [26] "a full buffer is not measured again", "client/src/connection/sending.rs":
        "open.measure_at = watches.then(|| now.after(DRAIN_POLL_MS));"
        => "open.measure_at = None;", SEEDS;
    [25] "an expired message is kept", "client/src/connection/queue.rs":
        "if message.expires.is_some_and(|expires| expires <= now) {"
        => "if message.expires.is_some_and(|expires| expires < now) {", SEEDS;
    [25] "unconfirmed messages are forgotten", "client/src/connection/sending.rs":
        "open.unconfirmed.handed_over(bytes);"
        => "", SEEDS;
    [25] "every frame confirms everything", "client/src/connection/receiving.rs":
        "        open.liveness.sign_of_life(now);
        // The"
        => "        open.liveness.sign_of_life(now);
        open.unconfirmed = super::unconfirmed::Unconfirmed::default();
        // The", SEEDS;
    [25] "an answer confirms what was sent after its ping", "client/src/connection/unconfirmed.rs":
        "&& run.asked < self.answered"
        => "&& run.asked <= self.answered", SEEDS;
    [25] "a number that was never sent confirms", "client/src/connection/unconfirmed.rs":
        "if number > self.answered && number <= self.asked {"
        => "if number > self.answered {", SEEDS;
    [25] "a duplicate answer counts twice", "client/src/connection/unconfirmed.rs":
        "if number > self.answered && number <= self.asked {
            self.answered = number;"
        => "if number <= self.asked {
            self.answered = self.answered.saturating_add(1);", SEEDS;
    [25] "an answer without a number confirms the newest ping", "client/src/connection/unconfirmed.rs":
        "self.answered = self.answered.saturating_add(1);"
        => "self.answered = self.asked;", SEEDS;
    [25] "unasked heartbeats confirm", "client/src/connection/unconfirmed.rs":
        "if !self.awaits_answer() {
            return false;
        }"
        => "", SEEDS;
    [25] "what unasked heartbeats confirmed stays confirmed", "client/src/connection/receiving.rs":
        "open.unconfirmed.distrust();"
        => "", SEEDS;
    [25] "unasked heartbeats confirm on the next connection", "client/src/connection/receiving.rs":
        "self.distrusts = true;"
        => "", SEEDS;
    [25] "a control message without a number counts as a question", "client/src/connection/receiving.rs":
        "is_question: number.is_some(),"
        => "is_question: true,", SEEDS;
    [25] "a message is never asked about", "client/src/connection/open.rs":
        "self.question_at = Some(now.after(CONFIRM_MS));"
        => "", SEEDS;
    [25] "a server is asked again before it answered", "client/src/connection/open.rs":
        "&& !self.unconfirmed.awaits_answer()"
        => "", SEEDS;
    [25] "a server is asked before the application is ready", "client/src/connection/timer.rs":
        "if let (Flow::Flowing, Some(at)) = (flow, open.question_at) {"
        => "if let (Flow::Opening { .. } | Flow::Gated | Flow::Flowing, Some(at)) = (flow, open.question_at) {",
        SEEDS;
    [25] "a close that looks like the answer to ours confirms everything", "client/src/connection/attempt.rs":
        "self.end_closing(close, Cause::Socket, error);"
        => "if let State::Open(open) = &mut self.state {
                open.unconfirmed = super::unconfirmed::Unconfirmed::default();
            }
            self.end_closing(close, Cause::Socket, error);", SEEDS;
    [25] "a message accepted by a lost socket is forgotten", "client/src/connection/sending.rs":
        "self.totals.message(Count::Unconfirmed, bytes);"
        => "", SEEDS;
    [17] "a closing handshake that makes progress is given up", "client/src/connection/sending.rs":
        "let shrinks = bytes < closing.buffered;"
        => "let shrinks = bytes < closing.buffered && closing.buffered == u64::MAX;", SEEDS;
    [17] "a closing handshake is awaited forever", "client/src/connection/sending.rs":
        "} else if closing.judging {"
        => "} else if closing.judging && bytes == u64::MAX {", SEEDS;
    [23] "messages arrive after close", "client/src/connection/receiving.rs":
        "if open.closing().is_some() {"
        => "if self.options.values().gate && open.closing().is_some() {", SEEDS;
    [25] "the queue is not reported at the end", "client/src/connection/attempt.rs":
        "self.tell_error(&loss);
        self.drop_queue();"
        => "self.tell_error(&loss);", SEEDS;
    [21] "attempts cost nothing", "client/src/connection/bucket.rs":
        "self.credit = self.credit_at(now).saturating_sub(self.price);"
        => "self.credit = self.credit_at(now);", SEEDS;
    [12] "a hint shortens the wait that the server requested", "client/src/connection/attempt.rs":
        "_ if firm => return,"
        => "_ if firm && self.failures > 1_000 => return,", SEEDS;
    [12] "a window announced on an earlier socket counts", "client/src/connection/mod.rs":
        "if self.is_current(generation) {"
        => "if self.is_current(generation) || matches!(report, Report::Control(_)) {", SEEDS;
    [1] "silence is not noticed", "client/src/connection/timer.rs":
        "(None, Life::Silent) => self.lose(now, Cause::HeartbeatTimeout, None),"
        => "(None, Life::Silent) => {}", SEEDS;
    [1] "a probe is not judged", "client/src/connection/timer.rs":
        "(None, Life::Unanswered) => self.lose(now, Cause::ProbeTimeout, None),"
        => "(None, Life::Unanswered) => {}", SEEDS;
    [11] "the server's close code is not reported", "client/src/connection/attempt.rs":
        "self.lose_with(now, close, Cause::Socket, error);"
        => "self.lose_with(now, CloseFrame { code: 1006, ..close }, Cause::Socket, error);", SEEDS;
    [11] "the server's close reason is not reported", "client/src/connection/attempt.rs":
        "self.lose_with(now, close, Cause::Socket, error);"
        => "self.lose_with(now, CloseFrame { reason: String::new(), ..close }, Cause::Socket, error);", SEEDS;
    [17] "the application's close code is not sent", "client/src/connection/closing.rs":
        "let (code, reason) = (closing.code, closing.reason.clone());"
        => "let (code, reason) = (None, closing.reason.clone());", SEEDS;
    [17] "the application's close reason is not sent", "client/src/connection/closing.rs":
        "let (code, reason) = (closing.code, closing.reason.clone());"
        => "let (code, reason) = (closing.code, String::new());", SEEDS;
    [11] "a verdict outlives a close inside the predicate", "client/src/connection/closing.rs":
        "if let Some(loss) = self.take_lost() {
                    self.abandon_with(code, reason);
                    self.end(loss, Why::Requested);
                }"
        => "", test("client/src/connection/tests.rs", "a_command_inside_the_predicate_wins_over_its_verdict");
    [12] "a window in a close reason is ignored", "client/src/connection/attempt.rs":
        ".or_else(|| Window::in_reason(&loss.close.reason));"
        => ".or_else(|| None);", SEEDS;
    [1] "no ping is sent in a silence", "client/src/connection/attempt.rs":
        "if liveness.ask(now) {
                self.ping();"
        => "if liveness.ask(now) {", SEEDS;
    [4] "no ping is sent after a hint", "client/src/connection/attempt.rs":
        "if open.liveness.probe(now) {
                    self.look_and_ping();"
        => "if open.liveness.probe(now) {", SEEDS;
    [22] "no ping is sent after a sleep", "client/src/connection/attempt.rs":
        "if liveness.wait_again(now) {
                    self.ping();
                }"
        => "liveness.wait_again(now);", SEEDS;
    [4] "a reported sleep does not make a loss local", "client/src/connection/attempt.rs":
        "if hint != Hint::Offline {"
        => "if !matches!(hint, Hint::Offline | Hint::Slept { .. }) {", SEEDS;
    [22] "a detected sleep does not make a loss local", "client/src/connection/attempt.rs":
        "// What was lost in the sleep was lost on this side.
                self.woken = Some(now);"
        => "", SEEDS;
    [22] "a probe that is judged too late counts as unanswered", "client/src/connection/liveness.rs":
        "if !self.silence.excused && now.since(dead) > STALE_MS {"
        => "if !self.silence.probe && !self.silence.excused && now.since(dead) > STALE_MS {", SEEDS;
    [1] "a silence is excused again and again", "client/src/connection/liveness.rs":
        "self.silence.excused = true;"
        => "", SEEDS;
    [20] "the time to answer starts before the server is asked", "client/src/connection/liveness.rs":
        "let starts = if asks || self.silence.upload.mark > Upload::OVER {"
        => "let starts = if self.silence.upload.mark > Upload::OVER {", BUSY;
    [20] "a timer ends a connection before what waits behind it", "client/src/connection/timer.rs":
        "self.effects.push_back(Effect::Turn {
            generation: self.generation,
            turn: self.latest.turn,
        });"
        => "let turn = self.latest.turn;
        self.turned(now, turn);", BUSY;
    [20] "the turn of an earlier deadline decides", "client/src/connection/timer.rs":
        "turning.is_some_and(|turning| deadline == Some(turning.deadline))"
        => "turning.is_some() && deadline.is_some()", BUSY;
    [20] "a late turn is deferred forever", "client/src/connection/timer.rs":
        "_ => latest.turn = latest.turn.wrapping_add(1),"
        => "_ => {}
        }
        latest.turn = latest.turn.wrapping_add(1);
        if false {", BUSY;
    [1] "progress on an upload counts as silence", "client/src/connection/liveness.rs":
        "let progress = moves && upload.counts;"
        => "let progress = moves && upload.counts && upload.left == u64::MAX;", BUSY;
    [1] "an upload excuses a dead server forever", "client/src/connection/liveness.rs":
        "let is_over = left >= upload.mark;"
        => "let is_over = left >= u64::MAX;", SEEDS;
    [34] "a ping passes the gate", "client/src/connection/liveness.rs":
        "self.pings && !self.gated"
        => "self.pings", BUSY;
    [34] "a keepalive passes the gate", "client/src/connection/attempt.rs":
        "if !self.options.values().gate {
            self.start_keepalive(now);
        }"
        => "self.start_keepalive(now);", BUSY;
    [34] "the next keepalive is counted from when the last one went out", "client/src/connection/attempt.rs":
        "now.after(interval.saturating_sub(late))"
        => "now.after(interval.max(late))",
        test("client/src/connection/tests.rs", "a_keepalive_goes_out_at_its_interval_whatever_arrives");
    [34] "keepalives continue in a chain of timers", "client/src/driver/reports.rs":
        "if self.chain.replace(0) >= DEEP {"
        => "if self.chain.replace(0) >= u32::MAX {",
        test("client/tests/rust_face.rs", "a_keepalive_goes_out_in_a_hidden_page_in_time");
    [12] "a clock that is set forward shortens the wait that the server requested", "client/src/connection/attempt.rs":
        "// Not for a sleep, either: a wall clock that is set forward looks the same."
        => "Hint::Slept { millis } if firm => {
                        Time::from_millis(until.as_millis().saturating_sub(millis))
                    }", SEEDS;
    [2] "a timer deep in a chain is kept", "client/src/driver/alarm.rs":
        "armed.at <= at && self.depth.get() <= chain,"
        => "armed.at <= at,",
        test("client/tests/rust_face.rs", "a_timer_deep_in_a_chain_is_not_kept_when_something_arrives");
    [26] "there is always room", "client/src/connection/sending.rs":
        "_ => self.may_transmit(Lane::Ordinary) || self.fits(bytes),"
        => "_ => true,", SEEDS;
    [27] "a URL that takes too long is reported as a slow handshake", "client/src/connection/timer.rs":
        "self.lose(now, Cause::ProviderTimeout, None);"
        => "self.lose(now, Cause::ConnectTimeout, None);", SEEDS;
    [25] "expired messages are still sent", "client/src/connection/sending.rs":
        "self.expire(now);
        if passes {"
        => "if passes {", SEEDS;
    [21] "a hint announces an attempt that cannot be made yet", "client/src/connection/attempt.rs":
        "let at = at.max(now.after(self.bucket.wait(now)));"
        => "", SEEDS;
    [21] "a loss announces an attempt that cannot be made yet", "client/src/connection/attempt.rs":
        "let token = self.bucket.wait(context.now);"
        => "let token = 0;", SEEDS;
    [25] "a message that is always refused ends every connection", "client/src/connection/sending.rs":
        "if connected && self.refuses_again() {"
        => "if connected && self.refuses_again() && self.failures >= 1_000 {", SEEDS;
    [25] "a message is given up when it is first refused", "client/src/connection/sending.rs":
        ".is_some_and(|in_hand| in_hand.refused)"
        => ".is_some_and(|in_hand| in_hand.refused || !in_hand.volatile)", SEEDS;
    [25] "a refusal is forgotten", "client/src/connection/sending.rs":
        "message.refused |= refused;"
        => "let _ = refused;", SEEDS;
    [25] "a message that is given up stops the queue", "client/src/connection/sending.rs":
        "self.drop_refused(payload);
            self.pump(now);"
        => "self.drop_refused(payload);", SEEDS;
    [25] "a message that is given up is not reported", "client/src/connection/sending.rs":
        "self.report_dropped(DropReason::Refused, vec![message]);"
        => "drop(message);", SEEDS;
    [1] "the moment of a message does not matter", "client/src/connection/mod.rs":
        "Report::Message { bytes, .. } => self.messages_are_timed(*bytes),"
        => "Report::Message { .. } => false,", SEEDS;
    [26] "the moment of a measurement does not matter", "client/src/connection/mod.rs":
        "closing || !little || judges || self.messages_expire()"
        => "false", SEEDS;
    [25] "no message is held to expire", "client/src/connection/mod.rs":
        "self.options.values().message_ttl.is_some() || self.queue.next_expiry().is_some()"
        => "false", SEEDS;
    // ----- everything else, each found by a test of its promise
    [1] "a program's own ping is never sent", "client/src/driver/reports.rs":
        "} else if self.application.pings() {"
        => "} else if false {", test("client/tests/rust_face.rs", "a_silent_server_is_asked_and_then_given_up_at_once");
    [1] "the answer to a heartbeat is delivered as a message", "client-wasm/js/host.js":
        "return host.isHeartbeat(host.takesData ? message : dataOf(message)) ? 1 : 0;"
        => "return 0;", test(
            "tests/npm/face/cases.js",
            "a heartbeat that the server answers keeps the connection, and stays out of the messages",
        );
    [2] "one timer for the measurements of the buffer and the deadlines, which stays in its chain",
        "client/src/driver/delivery.rs":
        "for (which, at) in [(Which::Look, next.look), (Which::Deadline, deadline)] {"
        => "self.chain.set(u32::MAX);
        let first = Time::earliest(next.look, deadline);
        for (which, at) in [(Which::Look, None), (Which::Deadline, first)] {",
        test("client/tests/rust_face.rs", "a_look_at_a_full_buffer_just_before_a_deadline_does_not_make_it_late");
    [3] "the network is back, and the wait continues", "client/src/limits.rs":
        "const ONLINE_MS: (f64, f64) = (200.0, 2_000.0);"
        => "const ONLINE_MS: (f64, f64) = (200_000.0, 200_000.0);",
        test("client/tests/rust_face.rs", "waking_ends_a_wait_and_the_network_ends_it_soon");
    [4] "a loss right after waking does not count as local", "client/src/connection/attempt.rs":
        "(woken || loss.cause == Cause::ProbeTimeout);"
        => "(loss.cause == Cause::ProbeTimeout);",
        test("client/tests/rust_face.rs", "a_loss_right_after_waking_is_local_and_one_later_is_not");
    [4] "the page does not notice that it resumes after a freeze", "client-wasm/js/platform.js":
        "resume: () => HINT_RESUMED,"
        => "resume: () => -1,",
        test("tests/npm/faults/sleep.test.mjs", "after a freeze it is back as soon as the page is");
    [5] "the browser says that it is offline, and an open connection is closed", "client-wasm/js/platform.js":
        "offline: () => HINT_OFFLINE,"
        => "offline: () => (abandonAll(), HINT_OFFLINE),", test(
            "tests/npm/faults/network-events.test.mjs",
            "while messages flow, a browser that says offline and online makes no second socket",
        );
    [6] "a late message of an earlier socket is delivered", "client/src/connection/mod.rs":
        "fn is_current(&self, generation: Generation) -> bool {\n        generation == self.generation"
        => "fn is_current(&self, generation: Generation) -> bool {\n        generation.0 > 0",
        test("client/src/connection/tests.rs", "an_event_of_an_earlier_socket_changes_nothing");
    [6] "the core makes a second socket beside the early one", "client-wasm/js/platform.js":
        "socket = early ? early.socket : host.makeSocket();"
        => "socket = host.makeSocket();",
        test("tests/npm/first-socket.test.mjs", "is handed over ${what}");
    [6] "an abandoned socket is not closed", "client-wasm/js/platform.js":
        "if (code < 0 && reason === '') socket.close();"
        => "if (code < 0 && reason === '') return;",
        test("tests/npm/face/cases.js", "makes its sockets with the WebSocket it is given, one live at a time");
    [7] "the first wait is always the longest", "client/src/connection/backoff.rs":
        "return draw(0.0, options.first_delay_max as f64, chance);"
        => "return draw(0.0, options.first_delay_max as f64, 1.0);",
        test("client/src/connection/tests.rs", "the_first_wait_is_spread_over_five_seconds");
    [7] "all clients draw the same", "client-wasm/js/platform.js":
        "return Math.random();"
        => "return 0.5;", test(
            "tests/npm/faults/crowd.test.mjs",
            "ten tabs whose server restarts each wait for a time of their own, and all come back",
        );
    [8] "page listeners remain after the end", "client/src/driver/delivery.rs":
        "if next.is_wanted != self.watch.borrow().is_some() {"
        => "if next.is_wanted {",
        test("client/tests/rust_face.rs", "the_page_is_listened_to_only_while_a_connection_is_wanted");
    [9] "a tab that is closed closes its sockets as the program would", "client-wasm/js/platform.js":
        "listen('addEventListener', "
        => "globalThis.addEventListener?.('pagehide', () => { for (const { socket } of registry.values()) socket?.close(4000); });\n  listen('addEventListener', ",
        test("tests/npm/faults/endings.test.mjs", "a tab that is closed leaves no connection");
    [10] "a broken connection is reported as a goodbye", "client-wasm/js/platform.js":
        "isCode ? code : ABNORMAL"
        => "isCode && isClean ? code : 1000",
        test("tests/npm/face/cases.js", "recovers when the server drops the connection, and tells about it");
    [11] "3003 is retried", "client/src/connection/policy.rs":
        "1000 | 1008 | 3000 | 3003 | 3500..=3999"
        => "1000 | 1008 | 3000 | 3500..=3999", test("client/src/connection/policy.rs", "every_code_has_its_policy");
    [11] "the wait that shouldReconnect chooses is ignored", "client-wasm/js/host.js":
        "if (typeof verdict === 'number') return Math.ceil(verdict);"
        => "if (typeof verdict === 'number') return RETRY;",
        test("tests/npm/face/cases.js", "asks shouldReconnect, which may end it or choose the wait");
    [12] "a server may request any wait", "client/src/connection/attempt.rs":
        "let cap = self.options.values().announced_delay_max;"
        => "let cap = u64::MAX;",
        test("client/tests/rust_face.rs", "the_window_that_a_server_announces_is_kept_and_clamped");
    [13] "a handshake has as much time as the search for the URL", "client/src/connection/mod.rs":
        "now.after(self.options.values().connect_timeout)"
        => "now.after(self.options.values().provider_timeout)",
        test("client/src/connection/tests.rs", "each_step_of_an_attempt_has_its_timeout");
    [13] "a socket that ends with only an error is awaited", "client-wasm/js/platform.js":
        "state === IS_CLOSED ? CLOSE_AFTER_ERROR : 0"
        => "2 ** 31 - 1", test("tests/npm/face/cases.js", "a closed socket that tells an error and no close has ended");
    [14] "a socket that the browser refuses is awaited", "client/src/driver/effects.rs":
        "self.handle(Report::OpenFailed(error).of(generation));"
        => "drop(error);", test("client/tests/rust_face.rs", "a_socket_that_the_browser_refuses_is_a_failed_attempt");
    [14] "one attempt more than was allowed", "client/src/connection/attempt.rs":
        "Some(max) if self.failures >= max =>"
        => "Some(max) if self.failures > max =>",
        test("client/src/connection/tests.rs", "an_exhausted_budget_marks_its_last_close_as_the_final_one");
    [15] "an error of the socket counts as its close", "client-wasm/js/platform.js":
        ", SOCKET_ERROR);"
        => ", SOCKET_CLOSED, 1007);",
        test("tests/npm/faults/server-faults.test.mjs", "a server that sends ${words} costs one connection");
    [16] "a message that was too big once ends it when it is the second time", "client/src/connection/attempt.rs":
        "Cause::MessageTooBig => ClosePolicy::RetryOnce,"
        => "Cause::MessageTooBig => ClosePolicy::Stop,",
        test("client/tests/rust_face.rs", "a_message_that_is_too_big_ends_the_connection_and_is_forgiven_once");
    [16] "the size of a message is not checked", "client-wasm/js/platform.js":
        "const size = sizeOf(data);"
        => "const size = data ? 1 : sizeOf(data);",
        test("tests/npm/faults/server-faults.test.mjs", "a message that is too big ends its connection, undelivered");
    [17] "a closing handshake has no limit", "client/src/connection/sending.rs":
        "closing.deadline = now.after(self.options.values().close_timeout);"
        => "closing.deadline = now.after(u64::MAX);",
        test("client/tests/rust_face.rs", "a_close_that_the_server_does_not_answer_ends_by_itself");
    [18] "the wait grows by a step and not by a factor", "client/src/connection/backoff.rs":
        "ceiling *= options.growth_factor;"
        => "ceiling += options.growth_factor;",
        test("client/src/connection/backoff.rs", "the_ceiling_grows_to_the_cap");
    [18] "any connection restarts the count", "client/src/connection/attempt.rs":
        "&& now.since(open.since) >= self.options.values().stable_after"
        => "&& now >= open.since", test("client/src/connection/tests.rs", "a_crash_loop_never_resets_the_backoff");
    [19] "TLS is left out", "client-wasm/js/reconnecting-websocket.js":
        "const [url, ...protocols] = host.target;"
        => "const [asked, ...protocols] = host.target;\n        const url = asked.replace('wss:', 'ws:');",
        test("tests/npm/faults/secure.test.mjs", "over wss it greets, is cut and comes back");
    [21] "attempts that were not made are saved without limit", "client/src/connection/bucket.rs":
        "grown.min(self.capacity)"
        => "grown", test("client/src/connection/bucket.rs", "a_burst_and_then_one_at_a_time");
    [22] "a sleep of the machine is not noticed", "client/src/sleep.rs":
        "match millis > SLEPT_MS {"
        => "match millis == u64::MAX {",
        test("client/tests/rust_face.rs", "a_machine_that_slept_does_not_wait_on");
    [23] "a constructor that closes leaves a socket behind", "client/src/driver/effects.rs":
        "Ok(socket) if self.connection.borrow().wants_socket(generation) => {"
        => "Ok(socket) if self.connection.borrow().generation() == generation => {",
        test("client/tests/rust_face.rs", "a_constructor_that_closes_leaves_no_socket_behind");
    [23] "the predicate's commands are carried out inside it", "client/src/driver/effects.rs":
        "let left = self.verdicts_left.replace(0);"
        => "let left = self.verdicts_left.get();",
        test(
            "client/tests/rust_face.rs",
            "a_predicate_that_always_asks_for_another_attempt_leaves_the_page_its_turn",
        );
    [33] "the next socket forgets what the last one said", "client-wasm/js/host.js":
        "host.saidOfLost ??= host.said;"
        => "", test(
            "tests/npm/testing/promises.test.mjs",
            "what a socket said of its failure is reported with it, even if shouldReconnect has asked for the next",
        );
    [24] "what a handler throws is swallowed", "client-wasm/js/events.js":
        "  if (isFunction(globalThis.reportError)) globalThis.reportError(error);\n  else"
        => "  if (!isFunction(globalThis.reportError))",
        test("tests/npm/face/cases.js", "reports a shouldReconnect that throws, and goes by the built-in policy");
    [25] "a throwing send loses the message", "client/src/connection/sending.rs":
        "self.take_back(payload, connected);"
        => "drop(payload);",
        test("client/tests/rust_face.rs", "a_send_that_throws_loses_the_connection_and_not_the_message");
    [26] "one unread message more than the limit", "client/src/face/inbox.rs":
        "(self.messages.len() < self.limits.messages"
        => "(self.messages.len() <= self.limits.messages",
        test("client/tests/rust_face.rs", "what_is_not_read_in_time_is_bounded_and_reported");
    [26] "before the module is loaded the queue has no bound in bytes", "client-wasm/js/waiting-room.js":
        " && this.bytes + bytes <= this.#mostBytes;"
        => ";", test("tests/npm/face/cases.js", "a full queue refuses, or drops as told");
    [27] "a function for the URL may take forever", "client/src/connection/attempt.rs":
        "let deadline = now.after(self.options.values().provider_timeout);"
        => "let deadline = now.after(u64::MAX);", test(
            "client/tests/rust_face.rs",
            "a_provider_that_never_settles_is_a_failed_attempt_and_its_future_is_dropped",
        );
    [27] "a function for the URL that rejects is awaited", "client-wasm/js/host.js":
        "() => found(0),"
        => "() => {},", test("tests/npm/face/cases.js", "takes a URL function that fails as a failed attempt");
    [28] "a message that cannot be decoded ends the stream", "client/src/face/socket.rs":
        "return Poll::Ready(Some(C::decode(message)));"
        => "return Poll::Ready(C::decode(message).ok().map(Ok));",
        test("client/tests/rust_face.rs", "a_message_that_cannot_be_decoded_is_an_item_and_the_stream_goes_on");
    [29] "an error of the socket ends the closing handshake", "client/src/connection/mod.rs":
        "(Report::Error(error), _) => {"
        => "(Report::Error(error), _) => {\n                self.state = State::Closed;",
        test("client/src/connection/tests.rs", "every_input_is_defined_in_every_state");
    [30] "any host that ends like this machine is this machine", "client/src/face/source.rs":
        "host.ends_with(\".localhost\")"
        => "host.ends_with(\"localhost\")",
        test("client/src/face/source.rs", "a_secure_page_connects_securely_or_to_this_machine");
    [30] "a secure page connects insecurely", "client-wasm/js/convert.js":
        "allowInsecure || !url.startsWith('ws:')"
        => "!allowInsecure || !url.startsWith('ws:')",
        test("tests/npm/secure-page.test.mjs", "the constructor refuses at once, saying why, unless told otherwise");
    [33] "the server is asked after every attempt", "client-wasm/js/probe.js":
        "if (this.#failures === this.#after) this.#ask(url);"
        => "if (this.#failures >= this.#after) this.#ask(url);",
        test("tests/npm/face/cases.js", "asks over HTTP why handshakes fail, once, and tells it");
    [8] "listeners of the page are never removed", "client-wasm/js/platform.js":
        "listen('removeEventListener', "
        => "((method, listener) => {})('removeEventListener', ",
        test("tests/npm/testing/promises.test.mjs", "${what}, it listens to nothing and has no timer");
    [8] "timers are not cancelled", "client-wasm/js/platform.js":
        "clearTimeout(unregister(id)?.timer);"
        => "unregister(id);",
        test("tests/npm/testing/promises.test.mjs", "${what}, it listens to nothing and has no timer");
    [25] "the waiting room forgets the time to live", "client-wasm/js/waiting-room.js":
        "expires === Infinity ? NaN : Math.ceil(expires - time)"
        => "NaN",
        test("tests/npm/testing/promises.test.mjs", "a message that waited before the start keeps its time to live");
    [32] "the log shows the server's reason", "client/src/connection/event.rs":
        "closed.loss.close.clean,\n                closed.unconfirmed.messages,"
        => "&closed.loss.close.reason,\n                closed.unconfirmed.messages,",
        test("client/tests/secrets.rs", "nothing_that_a_program_logs_shows_a_secret");
    [32] "the debug log of JavaScript shows the server's reason", "client-wasm/js/host.js":
        "closed: ${cause}, code ${code},"
        => "closed: ${cause}, code ${code} ${lost.reason},", test(
            "tests/npm/testing/promises.test.mjs",
            "the debug log tells no sub-protocol, no reason of a close and nothing that a function throws",
        );
    [32] "the debug log of JavaScript shows the sub-protocol", "client-wasm/js/host.js":
        "${reconnected ? 'reconnected' : 'connected'}`"
        => "${reconnected ? 'reconnected' : 'connected'} ${host.target}`", test(
            "tests/npm/testing/promises.test.mjs",
            "the debug log tells no sub-protocol, no reason of a close and nothing that a function throws",
        );
    [32] "the debug log of JavaScript shows what a provider throws", "client-wasm/js/reconnecting-websocket.js":
        "(isError(error) ? error.name : NO_ERROR)"
        => "String(error)", test(
            "tests/npm/testing/promises.test.mjs",
            "the debug log tells no sub-protocol, no reason of a close and nothing that a function throws",
        );
    // ----- suspend and resume
    [14] "a lost connection is replaced although the option reconnect is off", "client/src/connection/attempt.rs":
        "let asks = self.options.values().reconnect;"
        => "let asks = self.options.values().reconnect || !loss.was_open;", SEEDS;
    [36] "two sockets after a resumption", "client/src/connection/closing.rs":
        "self.abandon_closing(Cause::Suspended, None);"
        => "self.state = State::Suspended;", SEEDS;
    [36] "a suspension drops the queue", "client/src/connection/closing.rs":
        "self.reclaim();"
        => "self.reclaim(); self.drop_queue();", SEEDS;
    [36] "failures before a suspension count after it", "client/src/connection/closing.rs":
        "self.failures = 0;"
        => "", SEEDS;
    [36] "the closing handshake of a suspension has no deadline", "client/src/connection/timer.rs":
        "Flow::Closing(closing) | Flow::Suspending(closing) => {\n                    set("
        => "Flow::Suspending(_) => {}\n                Flow::Closing(closing) => {\n                    set(", SEEDS;
    [36] "page listeners remain while the connection is suspended", "client/src/connection/timer.rs":
        "Phase::Idle | Phase::Closed | Phase::Suspended"
        => "Phase::Idle | Phase::Closed",
        test("client/tests/rust_face.rs", "a_suspended_socket_leaves_nothing_running_and_goes_on_when_resumed");
    [36] "a socket that was suspended before the module was loaded connects once it is",
        "client-wasm/js/waiting-room.js":
        "if (isOnTheWay) this.#suspend(given === true);"
        => "",
        test("tests/npm/face/cases.js", "suspended before the module is there, while connecting and while waiting");
    [35] "the client leaves the escape on a text", "client/src/driver/reports.rs":
        "payload = self.platform.without_mark(payload);"
        => "", test("client/tests/rust_face.rs", "a_text_of_the_application_is_never_taken_for_a_control_message");
    [35] "the server does not escape a text", "server/src/plain.rs":
        "Data::Text(text) if controls => Frame::Text(escape(text).into_owned()),"
        => "Data::Text(text) if controls && false => Frame::Text(escape(text).into_owned()),", test(
            "test-server/tests/server/handshake.rs",
            "a_text_that_starts_like_a_control_message_is_the_application_s_when_it_is_escaped",
        );
    [35] "the escape counts as part of the text", "protocol/src/control.rs":
        "Some(rest) if rest.starts_with(MARK) => Heard::Application(rest),"
        => "Some(rest) if rest.starts_with(MARK) => Heard::Application(text),",
        test("protocol/src/control.rs", "every_text_comes_through_as_it_was_given");
    [35] "JavaScript leaves the escape on a text", "client-wasm/js/platform.js":
        "{ data: dataOf(message).slice(1) }"
        => "{ data: dataOf(message) }",
        test("tests/npm/face/cases.js", "a text that looks like a control message is the application’s, both ways");
    [31] "the sockets of an instance that has failed stay open", "client-wasm/js/failure.js":
        "  abandon();"
        => "", test(
            "tests/npm/testing/failure.test.mjs",
            "every socket loses its connection, as it loses others, and is back on a fresh instance",
        );
    [31] "the room on the stack is not checked", "client-wasm/js/failure.js":
        "  if (probe) probe(DEPTH);"
        => "  if (probe) return;",
        test("tests/npm/face/cases.js", "a stack that is exhausted is an error of the program, and no socket notices");
    [31] "the queue is lost with an instance", "client-wasm/js/waiting-room.js":
        "it instanceof Message && it.host === earlier && !it.isSent"
        => "false", test(
            "tests/npm/testing/failure.test.mjs",
            "what waits to be sent is sent, in its order and once; what was dropped is told once",
        );
    [31] "a module that cannot be loaded is final", "client-wasm/js/reconnecting-websocket.js":
        "const isHopeless = error instanceof Hopeless;"
        => "const isHopeless = true;", test(
            "tests/npm/testing/loading.test.mjs",
            "${what} is a failed attempt, and the next one is made as after any other",
        );
    [31] "fresh instances are started without limit", "client-wasm/js/failure.js":
        "isOver = !end || failures.length > MOST_FAILURES;"
        => "isOver = !end;", test(
            "tests/npm/testing/failure.test.mjs",
            "an instance that fails again and again is final, and the console is told what helps",
        );
    [31] "natively, a handler that has panicked leaves its socket hanging", "client/src/face/application.rs":
        "caught(self.outlives_panics, handler);"
        => "caught(false, handler);", test(
            "client/tests/native/own.rs",
            "a_handler_that_panics_closes_its_socket_for_good_and_no_other",
        );
    [31] "natively, an attempt waits for a function that has panicked", "client/src/face/source.rs":
        "Running::watch(target, on_panic(platform, panicked));"
        => "Running::watch(target, on_panic(platform, panicked).filter(|_| false));", test("client/tests/native/own.rs", "a_function_that_panics_before_an_attempt_fails_it");
}
