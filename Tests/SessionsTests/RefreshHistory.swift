// What clients of a gateway saw, in the order in which they saw it, and the judgement of it. The checker
// knows nothing of how a gateway works: tokens are names to it, and its rules are what clients may rely on.
//
//     1. A token is exchanged for one child, ever, and no child has two parents.
//     2. A session that only its owner has used is not refused before its owner ends it.
//     3. A token whose child has been exchanged in its turn, or was confirmed a race window ago, is refused.
//     4. What has been told to be over stays so: no further child, and no access token is let in.

/// A record of calls and answers.
struct RefreshHistory {
    /// Who asks: the client that logged in, or somebody who has copied a token.
    enum Holder { case owner, stranger }

    enum Answer: Equatable {
        case child(String)
        case refused
        /// The gateway could not say. Nothing follows from it.
        case unavailable
    }

    enum Event {
        /// A login was answered.
        case began(session: Int, token: String)
        case asked(call: Int, session: Int, token: String, by: Holder)
        /// The gateway gave an answer, whether it arrived or not.
        case answered(call: Int, Answer)
        /// The gateway has shown that it knows the client to have the token.
        case confirmed(session: Int, token: String)
        case leaving(session: Int)
        case left(session: Int)
        /// An access token that has not expired was presented.
        case used(session: Int, isLetIn: Bool)
    }

    struct Entry {
        let at: Int64
        let event: Event
    }

    private(set) var entries: [Entry] = []
    private var calls = 0

    mutating func note(_ event: Event, at: Int64) { entries.append(Entry(at: at, event: event)) }

    /// A call with its answer.
    mutating func note(_ session: Int, _ token: String, by holder: Holder, _ answer: Answer, at: Int64) {
        calls += 1
        note(.asked(call: calls, session: session, token: token, by: holder), at: at)
        note(.answered(call: calls, answer), at: at)
    }
}

/// Judges a history.
struct HistoryChecker {
    /// In milliseconds; nil where the gateway's clock is not the history's.
    let raceWindow: Int64?

    enum Rule: Hashable {
        case oneChild, innocentSession, replayFound, overIsOver
    }

    struct Verdict {
        /// The entries that must not be, with the rule that each breaks.
        var violations: [(rule: Rule, entry: Int)] = []
        var replaysFound = 0
    }

    private struct SessionView {
        /// Only its owner has used it, and has not ended it.
        var isInnocent = true
        var isOver = false
    }

    private struct Call {
        let session: Int
        let token: String
        let isReplay: Bool
        let isAfterEnd: Bool
    }

    private struct State {
        var sessions: [Int: SessionView] = [:]
        var calls: [Int: Call] = [:]
        /// The child of each token, and the parent of each child.
        var children: [String: String] = [:]
        var parents: [String: String] = [:]
        /// When each child was last handed out.
        var handedOut: [String: Int64] = [:]
        var confirmed: Set<String> = []
    }

    func check(_ history: RefreshHistory) -> Verdict {
        var (verdict, state) = (Verdict(), State())
        for (index, entry) in history.entries.enumerated() {
            let broken = check(entry, &state, &verdict)
            verdict.violations += broken.map { (rule: $0, entry: index) }
        }
        return verdict
    }

    private func check(
        _ entry: RefreshHistory.Entry, _ state: inout State, _ verdict: inout Verdict
    ) -> [Rule] {
        switch entry.event {
        case .began(let session, _): state.sessions[session] = SessionView()
        case .asked(let call, let session, let token, let holder):
            if holder == .stranger { state.sessions[session]?.isInnocent = false }
            state.calls[call] = Call(
                session: session, token: token, isReplay: isReplay(token, entry.at, state),
                isAfterEnd: state.sessions[session]?.isOver == true)
        case .answered(let number, let answer):
            guard let call = state.calls.removeValue(forKey: number) else { return [] }
            return check(answer, of: call, entry.at, &state, &verdict)
        case .confirmed(_, let token): state.confirmed.insert(token)
        case .leaving(let session): state.sessions[session]?.isInnocent = false
        case .left(let session): state.sessions[session]?.isOver = true
        case .used(let session, let isLetIn):
            guard let view = state.sessions[session] else { return [] }
            if isLetIn && view.isOver { return [.overIsOver] }
            if !isLetIn && view.isInnocent { return [.innocentSession] }
        }
        return []
    }

    /// Whether by what has been answered until now nobody may exchange the token any more.
    private func isReplay(_ token: String, _ now: Int64, _ state: State) -> Bool {
        guard let child = state.children[token] else { return false }
        if state.children[child] != nil { return true }
        guard let raceWindow, state.confirmed.contains(child), let last = state.handedOut[child] else {
            return false
        }
        return now - last > raceWindow
    }

    private func check(
        _ answer: RefreshHistory.Answer, of call: Call, _ now: Int64, _ state: inout State,
        _ verdict: inout Verdict
    ) -> [Rule] {
        switch answer {
        case .unavailable: return []
        case .refused:
            if call.isReplay {
                verdict.replaysFound += 1
                state.sessions[call.session]?.isOver = true
            } else if state.sessions[call.session]?.isInnocent == true {
                return [.innocentSession]
            }
            return []
        case .child(let child):
            var broken: [Rule] = []
            let isOnly =
                state.children[call.token, default: child] == child
                && state.parents[child, default: call.token] == call.token
            if !isOnly { broken.append(.oneChild) }
            if call.isReplay { broken.append(.replayFound) }
            if call.isAfterEnd { broken.append(.overIsOver) }
            state.children[call.token] = child
            state.parents[child] = call.token
            state.handedOut[child] = now
            return broken
        }
    }
}
