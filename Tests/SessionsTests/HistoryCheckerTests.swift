// The judge is judged: a history that breaks a rule is found out, and its nearest neighbour that keeps it is
// not.

import Testing

@Suite struct HistoryCheckerTests {
    private typealias Event = RefreshHistory.Event

    /// What is broken in a history of one session, one second between its entries.
    private func broken(_ events: [Event], window: Int64? = 30_000) -> [HistoryChecker.Rule] {
        var history = RefreshHistory()
        history.note(.began(session: 1, token: "a"), at: 0)
        for (index, event) in events.enumerated() { history.note(event, at: Int64(index + 1) * 1000) }
        return HistoryChecker(raceWindow: window).check(history).violations.map(\.rule)
    }

    private func ask(
        _ token: String, _ answer: RefreshHistory.Answer, by holder: RefreshHistory.Holder = .owner
    ) -> [Event] {
        [.asked(call: 1, session: 1, token: token, by: holder), .answered(call: 1, answer)]
    }

    @Test("a second child of a token, and a second parent of a child")
    func children() {
        #expect(broken(ask("a", .child("b")) + ask("a", .child("b"))) == [])
        #expect(broken(ask("a", .child("b")) + ask("a", .child("c"))) == [.oneChild])
        #expect(broken(ask("a", .child("c")) + ask("b", .child("c"))) == [.oneChild])
    }

    @Test("the end of a session that nobody else has used")
    func innocence() {
        #expect(broken(ask("a", .refused)) == [.innocentSession])
        #expect(broken(ask("a", .unavailable)) == [])
        #expect(broken([.leaving(session: 1)] + ask("a", .refused)) == [])
        #expect(broken(ask("a", .child("b"), by: .stranger) + ask("a", .refused)) == [])
        #expect(broken([.used(session: 1, isLetIn: false)]) == [.innocentSession])
        #expect(broken([.used(session: 1, isLetIn: true)]) == [])
    }

    @Test("a replay that is answered")
    func replay() {
        let twice = ask("a", .child("b")) + ask("b", .child("c"))
        #expect(broken(twice + ask("a", .child("b"), by: .stranger)) == [.replayFound])
        #expect(broken(twice + ask("a", .refused, by: .stranger)) == [])
        // By an earlier call that is only now answered, nothing was known.
        let early: [Event] = [.asked(call: 9, session: 1, token: "a", by: .owner)]
        #expect(broken(early + twice + [.answered(call: 9, .child("b"))]) == [])
    }

    @Test("a replay after the child was confirmed, once the window has passed")
    func confirmedReplay() {
        let seen: [Event] = ask("a", .child("b")) + [.confirmed(session: 1, token: "b")]
        let pause = [Event](repeating: .used(session: 1, isLetIn: true), count: 30)
        #expect(broken(seen + ask("a", .child("b"))) == [])
        #expect(broken(seen + pause + ask("a", .child("b"))) == [.replayFound])
        #expect(broken(seen + pause + ask("a", .child("b")), window: nil) == [])
        #expect(broken(ask("a", .child("b")) + pause + ask("a", .child("b"))) == [])
    }

    @Test("a session that goes on after its end")
    func over() {
        let left: [Event] = [.leaving(session: 1), .left(session: 1)]
        #expect(broken(left + ask("a", .child("b"))) == [.overIsOver])
        #expect(broken(left + ask("a", .refused)) == [])
        #expect(broken(left + [.used(session: 1, isLetIn: true)]) == [.overIsOver])
        #expect(broken(left + [.used(session: 1, isLetIn: false)]) == [])
        let early: [Event] = [.asked(call: 9, session: 1, token: "a", by: .owner)]
        #expect(broken(early + left + [.answered(call: 9, .child("b"))]) == [])
        let found = ask("a", .child("b")) + ask("b", .child("c")) + ask("a", .refused, by: .stranger)
        #expect(broken(found + ask("c", .child("d"))) == [.overIsOver])
    }
}
