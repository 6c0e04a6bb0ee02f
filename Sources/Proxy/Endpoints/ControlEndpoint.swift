// The private listener: health, and the control API with which back ends begin, list and end sessions. On
// loopback it trusts whoever can reach it, but not a browser's page: those are refused by their Origin and
// Host.

import Configuration
import Observability
import Crypto
import HTTP
import Network
import Primitives
import Sessions

/// A call of the control API that waits for the refresh service.
enum ControlCall {
    case begin
    case list
    case find
    /// `tellsWhere`: the answer says on which gateways it is in force, and since when.
    case end(tellsWhere: Bool)
    case introspect
    case copy(path: String)
}

/// The endpoints of the control listener.
enum ControlEndpoint {
    static func handle(_ connection: DownstreamConnection) {
        // The path as it was sent: a segment may hold anything, percent-encoded, and is decoded as one.
        let segments = connection.head.block.withBytes { bytes in
            String(lossy: bytes.extracting(connection.head.path.offsets)).split(
                separator: "/", omittingEmptySubsequences: false
            ).dropFirst().map(
                String.init)
        }
        switch (connection.head.method, segments.count, segments.first) {
        case (.get, 1, "healthz"), (.head, 1, "healthz"), (.get, 1, "livez"), (.head, 1, "livez"):
            HealthEndpoint.live(connection)
        case (.get, 1, "readyz"), (.head, 1, "readyz"): HealthEndpoint.ready(connection)
        case (.get, 1, ""), (.head, 1, ""):
            if ControlTrust.mayView(connection) { StatusEndpoint.page(connection) }
        case (.get, 1, "status"), (.head, 1, "status"):
            if ControlTrust.mayView(connection) { StatusEndpoint.json(connection) }
        default:
            if ControlTrust.mayCall(connection) { call(connection, segments) }
        }
    }

    private static func call(_ connection: DownstreamConnection, _ segments: [String]) {
        let decoded = segments.compactMap { PercentDecoding.text(Array($0.utf8), plusIsSpace: false) }
        guard decoded.count == segments.count else {
            connection.refuse(.pathRefused)
            return
        }
        let query = connection.head.block.withBytes { bytes in
            [UInt8](copying: bytes.extracting(connection.head.query.offsets))
        }
        let ending = ControlCall.end(tellsWhere: PercentDecoding.query("wait", in: query) == "1")
        switch (connection.head.method, decoded.count, decoded.first) {
        case (.get, 1, "metrics"), (.head, 1, "metrics"): StatusEndpoint.metrics(connection)
        case (.post, 2, "tokens") where decoded[1] == "inspect": TokenInspection.inspect(connection)
        case (.post, 1, "introspect"): Introspection.answer(connection)
        case (.post, 1, "sessions"): begin(connection)
        case (.get, 1, "sessions"):
            let subject = PercentDecoding.query("subject", in: query)
            connection.awaitReply(.control(.list), .list(subject: subject, limit: listMax))
        case (.get, 2, "sessions"), (.delete, 2, "sessions"):
            guard let sid = SessionID(text: decoded[1]) else {
                refuse(connection, 404, "no_session", "No such session")
                return
            }
            let ends = connection.head.method == .delete
            connection.awaitReply(
                .control(ends ? ending : .find), ends ? .end(sid, reason: .control) : .find(sid))
        case (.delete, 3, "subjects") where decoded[2] == "sessions":
            let except = PercentDecoding.query("except", in: query)
            let spared = except.flatMap(SessionID.init(text:))
            if except != nil && spared == nil {
                refuse(connection, 400, "except", "The parameter except is no session id")
                return
            }
            connection.awaitReply(
                .control(ending), .endSubject(decoded[1], sparing: spared, reason: .control))
        case (.post, 3, "subjects") where decoded[2] == "expire-access":
            connection.awaitReply(.control(ending), .expireAccess(decoded[1], reason: .control))
        case (.post, 1, "backup"):
            // Where nobody else can read it; whoever asked for it takes it from there.
            let name = "sessions.backup-" + Base64URL.text(RandomBytes.make(9).span)
            let path = "\(connection.shard.runtime.configuration.stateDirectory)/\(name)"
            connection.awaitReply(.control(.copy(path: path)), .copy(to: path))
        default: connection.refuse(.noRoute)
        }
    }

    /// `POST /sessions` with `{"subject": …, "claims": {…}, "label": …}`: a back end that has checked a
    /// password itself begins a session.
    private static func begin(_ connection: DownstreamConnection) {
        let type = connection.head.block.text(.contentType)?.lowercased() ?? ""
        guard type.hasPrefix("application/json") else {
            refuse(connection, 415, "content_type", "The body must be application/json")
            return
        }
        guard let document = try? JSONDocument(parsing: connection.exchange.collected, nodesMax: 1024),
            let subject = document.root["subject"]?.string, SessionSignal.isSubject(subject)
        else {
            refuse(
                connection, 400, "subject", "The body must be a JSON object with a subject of 1 to 255 bytes")
            return
        }
        let claims = document.root["claims"].map { Array($0.text) } ?? Array("{}".utf8)
        switch SessionClaims.check(claims, subject: subject, connection.shard.runtime.claimsRoom) {
        case .failure(let problem):
            refuse(connection, 400, "claims", "The claims cannot be used: \(problem.reason)")
        case .success(let checked):
            let client = ClientDescription(
                userAgent: "", address: "", label: document.root["label"]?.string ?? "")
            let new = NewSession(subject: subject, claims: checked, client: client, replacing: nil)
            connection.awaitReply(.control(.begin), .begin(new))
        }
    }

    // MARK: - Answers

    static func answer(_ connection: DownstreamConnection, _ reply: SessionReply, _ call: ControlCall) {
        switch (reply, call) {
        case (.issued(let tokens), _):
            var response = TokenDelivery(connection.shard.runtime).bodyResponse(tokens)
            response.status = 201
            connection.respond(response)
        case (.sessions(let sessions), .introspect): Introspection.answer(connection, sessions.first)
        case (.rejected, .introspect): Introspection.answer(connection, nil)
        case (.sessions(let sessions), .find):
            guard let session = sessions.first else {
                refuse(connection, 404, "no_session", "No such session")
                return
            }
            var body = JSONWriter()
            SessionListing.write(session, now: connection.shard.wallTime, to: &body)
            connection.respond(.json(200, body.bytes))
        case (.sessions(let sessions), _):
            var body = JSONWriter(reserving: 256 * sessions.count)
            body.beginObject()
            body.beginArray("sessions")
            for session in sessions {
                SessionListing.write(session, now: connection.shard.wallTime, to: &body)
            }
            body.endArray()
            body.endObject()
            connection.respond(.json(200, body.bytes))
        case (.copied, .copy(let path)):
            var body = JSONWriter()
            body.beginObject()
            body.string("path", path)
            body.endObject()
            connection.respond(.json(201, body.bytes))
        case (.ended(0), _):
            refuse(connection, 404, "no_session", "No such session, or it has ended already")
        case (.ended, .end(tellsWhere: true)): connection.respond(inForce(connection))
        case (.ended, _): connection.respond(.empty(204))
        case (.rejected, _), (.examined, _), (.copied, _), (.unavailable, _):
            connection.refuse(.sessionsUnavailable)
        }
    }

    /// On which gateways a revocation is in force, and since when: on this one, whose shards have all told
    /// that they have it before there is a reply.
    private static func inForce(_ connection: DownstreamConnection) -> LocalResponse {
        var body = JSONWriter()
        body.beginObject()
        body.beginArray("in_force")
        body.beginObject()
        body.string("gateway", connection.shard.runtime.services.hostName)
        body.string("at", CivilTime(Clock.wall).rfc3339)
        body.endObject()
        body.endArray()
        body.endObject()
        return .json(200, body.bytes)
    }

    private static func refuse(
        _ connection: DownstreamConnection, _ status: Int, _ code: String, _ detail: String
    ) {
        connection.exchange.reason = code
        connection.respond(.problem(status, code: code, detail: detail))
    }

    /// How many sessions one listing shows.
    private static let listMax = 1000
}
