// Sessions in the words of people: a table of many, and the story of one. Made of what the control API says.

import Primitives

/// What is told of sessions.
enum SessionAccount {
    /// A line for each session.
    static func table(of sessions: [JSONValue]) -> String {
        var rows = [["SID", "SUBJECT", "STATE", "REFRESHED", "ADDRESS", "LABEL"]]
        for session in sessions {
            let by = session.words("ended_by").map { ", by \($0)" } ?? ""
            let state = session.words("end_reason").map { "ended: \($0)\(by)" } ?? "live"
            rows.append([
                session.words("sid") ?? "", session.words("subject") ?? "", state,
                session.words("refreshed") ?? "", session.words("address") ?? "",
                session.words("label") ?? "",
            ])
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let padded = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            let line = padded.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }

    /// The story of a session, the reason of its end last.
    static func explanation(of session: JSONValue) -> String {
        let generation = session["generation"]?.integer ?? 0
        var lines = ["session \(session.words("sid") ?? "") of \(session.words("subject") ?? "")"]
        func add(_ time: String?, _ words: String) { lines.append("  \(time ?? "")  \(words)") }
        add(session.words("created"), "began")
        for event in session["events"]?.elements ?? [] {
            let of =
                event["generation"]?.integer.map { "generation \($0), from \(event.words("address") ?? "")" }
                ?? "asked for by \(asker(event.words("by") ?? ""))"
            add(event.words("at"), "\(sentence(ofEvent: event.words("event") ?? "")) (\(of))")
        }
        if generation > 0 {
            let confirmed = session["confirmed"]?.boolean == true ? "" : ", and has not been seen since"
            let from = "from \(session.words("address") ?? "") by \(session.words("user_agent") ?? "")"
            add(session.words("refreshed"), "last refreshed, generation \(generation), \(from)\(confirmed)")
        }
        if let reason = session.words("end_reason") {
            let time =
                session.words("ended")
                ?? (reason == "idle"
                    ? session.words("idle_deadline")
                    : reason == "age" ? session.words("final_deadline") : nil)
            add(
                time ?? "                    ",
                "ended: \(sentence(ofReason: reason, by: session.words("ended_by")))")
        } else {
            add(session.words("idle_deadline"), "will end unless it is refreshed")
            add(session.words("final_deadline"), "will end in any case")
        }
        return lines.joined(separator: "\n")
    }

    private static func sentence(ofEvent event: String) -> String {
        switch event {
        case "moved": "refreshed from another address"
        case "repeated": "the same tokens again: an answer was lost, or another tab asked"
        case "ahead": "the client was ahead of the database, which had been restored"
        case "replay": "a refresh token that had been replaced"
        case "access_expired": "the access tokens of its subject were taken back, until the next refresh"
        default: event
        }
    }

    private static func sentence(ofReason reason: String, by word: String?) -> String {
        switch reason {
        case "idle": "it was not refreshed in time"
        case "age": "it had reached its greatest age"
        case "logout": "its user logged out"
        case "replaced": "the same client logged in again"
        case "upstream": "an upstream ended it"
        case "control": "the control API ended it"
        case "replay": "an old refresh token came back, so somebody has a copy of it"
        case "limit": "its subject began more sessions than one may have"
        case "access_check": "the access check no longer let its subject in"
        case "subject":
            word.map { "\(asker($0)) ended all sessions of its subject" }
                ?? "all sessions of its subject were ended"
        case "others": "\(asker(word ?? "")) ended all sessions of its subject but another one"
        default: reason
        }
    }

    private static func asker(_ reason: String) -> String {
        switch reason {
        case "upstream": "an upstream"
        case "control": "the control API"
        default: reason
        }
    }
}

extension JSONValue {
    /// A text as a terminal may have it: it came from the network.
    fileprivate func words(_ name: String) -> String? {
        guard let text = self[name]?.string else { return nil }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.isPrintable ? $0 : "?" }))
    }
}

extension Unicode.Scalar.Properties {
    /// Neither a control nor something that changes the order or the look of what is beside it.
    fileprivate var isPrintable: Bool {
        switch generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            false
        default: true
        }
    }
}
