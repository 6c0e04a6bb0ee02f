// What an upstream's answer says about sessions: `Session-Start`, `Session-Claims`, `Session-Label` on a
// route marked `login`, `Session-End` on one marked `session_control`. On any other route the fields mean
// nothing; on every route they stop at the gateway.

import Configuration
import HTTP
import JOSE
import Primitives

/// What a response asks the gateway to do.
enum SessionSignal {
    case none
    case start(SessionStart)
    case end(SessionEndScope)
    /// A session is asked for that cannot be begun; the reason is for the log.
    case refusedStart(subject: String?, reason: String)
    /// Something else is asked for that cannot be done.
    case malformed(String)

    /// A session to begin.
    struct SessionStart {
        let subject: String
        /// A checked JSON object.
        let claims: [UInt8]
        let label: String
    }

    /// What Session-End ends.
    enum SessionEndScope: String {
        case session, subject, others, access
    }

    static func read(
        _ head: borrowing ResponseHead, route: Route?, _ room: ClaimsRoom
    ) -> SessionSignal {
        guard let route = route?.configuration else { return .none }
        // 2xx, or the redirect after a form login; a refused login begins nothing.
        guard (200..<400).contains(head.status) else { return .none }
        if route.isLogin && head.block.first(.sessionStart) != nil {
            if route.isSessionControl && head.block.first(.sessionEnd) != nil {
                return .refusedStart(subject: nil, reason: "one answer both starts and ends a session")
            }
            return start(head, room)
        }
        if route.isSessionControl, head.block.first(.sessionEnd) != nil {
            guard head.block.count(of: .sessionEnd) == 1, let text = head.block.text(.sessionEnd),
                let scope = SessionEndScope(rawValue: text)
            else { return .malformed("Session-End is none of session, subject, others, access") }
            return .end(scope)
        }
        return .none
    }

    private static func start(_ head: borrowing ResponseHead, _ room: ClaimsRoom) -> SessionSignal {
        guard head.block.count(of: .sessionStart) == 1, head.block.count(of: .sessionClaims) <= 1 else {
            return .refusedStart(
                subject: nil, reason: "Session-Start or Session-Claims occurs more than once")
        }
        guard let subject = head.block.text(.sessionStart), isSubject(subject) else {
            return .refusedStart(subject: nil, reason: "Session-Start is not a name of 1 to 255 bytes")
        }
        let text = head.block.text(.sessionClaims) ?? "{}"
        switch SessionClaims.check(Array(text.utf8), subject: subject, room) {
        case .failure(let problem):
            return .refusedStart(subject: subject, reason: "Session-Claims: \(problem.reason)")
        case .success(let claims):
            let label = head.block.text(.sessionLabel) ?? ""
            return .start(SessionStart(subject: subject, claims: claims, label: label))
        }
    }

    /// A subject goes into upstream header fields and rows: no control characters, no blanks at its ends.
    static func isSubject(_ text: String) -> Bool {
        // U+FFFD stands for bytes that were not UTF-8.
        HeaderText.isFit(text) && !text.unicodeScalars.contains("\u{FFFD}")
    }
}

/// The claims that a login gives its session.
enum SessionClaims {
    struct Problem: Error {
        let reason: String
    }

    /// The compact text of claims that can go into every access token of a session.
    ///
    /// A token must fit into a cookie of 4,096 bytes, also when this login's tokens travel otherwise: too
    /// much is refused here, loudly, and not by the browser, silently.
    static func check(
        _ text: [UInt8], subject: String, _ room: ClaimsRoom
    ) -> Result<[UInt8], Problem> {
        guard let document = try? JSONDocument(parsing: text) else {
            return .failure(Problem(reason: "not a JSON object without repeated names"))
        }
        guard
            let claims = try? AccessTokenClaims.validateSessionClaims(
                document, reserved: room.reservedName)
        else {
            return .failure(Problem(reason: "not an object, or it holds a name that belongs to the gateway"))
        }
        var name = JSONWriter()
        name.string(nil, subject)
        let room = room.bytes - name.bytes.count
        if claims.count > room {
            return .failure(
                Problem(reason: "\(claims.count) bytes do not fit into a cookie; \(max(0, room)) do"))
        }
        return .success(claims)
    }
}

/// What a configuration leaves for the subject and the claims of a session in its tokens.
struct ClaimsRoom: Sendable {
    let bytes: Int
    /// A claim that the gateway writes by its configuration.
    let reservedName: String?

    /// - Parameter signatureOverhead: what key names and signatures take more than those of ES256.
    init(_ token: AccessTokenConfiguration, signatureOverhead: Int) {
        reservedName = token.useExpiry?.claim
        var taken = token.issuer.utf8.count + token.audience.utf8.count + signatureOverhead
        // The second expiry, and the refresh token that a single token carries.
        if let useExpiry = token.useExpiry { taken += useExpiry.claim.utf8.count + 14 + 110 }
        bytes = Self.bytesMax - taken
    }

    /// Issuer, audience, subject and the session's claims together. With 250 bytes for our other claims they
    /// make a payload of 2,850 bytes; in base64url, with header, an ES256 signature and the cookie's name,
    /// that is 4,030.
    private static let bytesMax = 2_600
}
