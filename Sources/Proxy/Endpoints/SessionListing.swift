// A session as the control API shows it, and the command line when no gateway runs.

package import Primitives
package import Sessions

/// Writes sessions as JSON.
package enum SessionListing {
    package static func write(_ stored: StoredSession, now: WallTime, to body: inout JSONWriter) {
        let session = stored.session
        body.beginObject()
        body.string("sid", session.sid.text)
        body.string("subject", session.subject)
        body.json("claims", session.claims)
        body.string("user_agent", session.client.userAgent)
        body.string("address", session.client.address)
        body.string("label", session.client.label)
        body.string("created", CivilTime(session.created).rfc3339)
        body.string("refreshed", CivilTime(session.refreshed).rfc3339)
        body.string("idle_deadline", CivilTime(session.idleDeadline).rfc3339)
        body.string("final_deadline", CivilTime(session.finalDeadline).rfc3339)
        body.number("generation", Int64(session.generation))
        body.boolean("confirmed", session.isConfirmed)
        switch stored.state(at: now) {
        case .live: body.string("state", "live")
        case .ended(let reason), .lapsed(let reason):
            body.string("state", "ended")
            body.string("end_reason", reason.rawValue)
        case .endedWithSubject: writeSubjectEnding(stored.subjectEnding, to: &body)
        }
        if let ended = session.ended { body.string("ended", CivilTime(ended.at).rfc3339) }
        writeEvents(of: stored, to: &body)
        body.endObject()
    }

    /// Who asked and when is known of the last few times.
    private static func writeSubjectEnding(_ ending: SubjectTrail.Entry?, to body: inout JSONWriter) {
        body.string("state", "ended")
        body.string("end_reason", ending?.what.rawValue ?? SubjectTrail.What.subject.rawValue)
        guard let ending else { return }
        body.string("ended_by", ending.reason.rawValue)
        body.string("ended", CivilTime(ending.at).rfc3339)
    }

    private enum Event {
        case own(SessionTrail.Entry)
        case accessExpired(SubjectTrail.Entry)

        var at: WallTime {
            switch self {
            case .own(let entry): entry.at
            case .accessExpired(let entry): entry.at
            }
        }
    }

    private static func writeEvents(of stored: StoredSession, to body: inout JSONWriter) {
        var events = SessionTrail.entries(stored.session.trail).map(Event.own)
        events += stored.accessExpiries.map(Event.accessExpired)
        body.beginArray("events")
        for event in events.sorted(by: { $0.at < $1.at }) {
            body.beginObject()
            body.string("at", CivilTime(event.at).rfc3339)
            switch event {
            case .own(let entry):
                body.string("event", entry.kind.rawValue)
                body.number("generation", Int64(entry.generation))
                body.string("address", entry.address)
            case .accessExpired(let entry):
                body.string("event", "access_expired")
                body.string("by", entry.reason.rawValue)
            }
            body.endObject()
        }
        body.endArray()
    }
}
