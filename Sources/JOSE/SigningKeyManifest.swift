// The list of the gateway's own keys, as the state directory keeps it in `keys/keys.json`: which there
// are, in which state, since when. The keys themselves stand in a file each, which the list names.
//
//     next    published, signs nothing yet, so that everybody knows it before it does
//     active  signs new tokens; there is always exactly one, and one next
//     retired verifies what it has signed, until the last of it has expired

package import Primitives

/// What is known of a signing key beside the key itself.
package struct SigningKeyRecord: Sendable, Equatable {
    package enum State: String, Sendable { case next, active, retired }

    package let kid: String
    package let algorithm: SignatureAlgorithm
    package var state: State
    package let created: WallTime
    /// When it came to its state.
    package var since: WallTime
    /// How long the longest-lived token that it signs can be good, in milliseconds.
    package var tokenMilliseconds: Int64
    /// When the last token of a retired key has expired.
    package var goodUntil: WallTime?

    /// The file that holds the key, within the directory of the list.
    package var fileName: String { algorithm.scheme == nil ? "\(kid).secret" : "\(kid).pem" }
}

/// The name of a key that verifies nothing any more. It is remembered while a cookie may still hold one of
/// its tokens: such a browser is sent to refresh, where a stranger's token is just refused.
package struct FormerKey: Sendable, Equatable {
    package let kid: String
    /// Whether it was taken back, instead of outliving its tokens.
    package let isWithdrawn: Bool
    package let until: WallTime

    package init(kid: String, isWithdrawn: Bool, until: WallTime) {
        self.kid = kid
        self.isWithdrawn = isWithdrawn
        self.until = until
    }
}

/// Why the active key is the active one.
package enum KeyChangeCause: String, Sendable { case start, command, age, algorithm }

/// The list.
package struct SigningKeyManifest: Sendable, Equatable {
    package var records: [SigningKeyRecord]
    package var former: [FormerKey]
    package var cause: KeyChangeCause

    init(records: [SigningKeyRecord], former: [FormerKey], cause: KeyChangeCause) {
        self.records = records
        self.former = former
        self.cause = cause
    }

    /// The key that signs.
    package var active: SigningKeyRecord {
        guard let record = records.first(where: { $0.state == .active }) else {
            preconditionFailure("a list of keys has one that signs")
        }
        return record
    }

    /// The key that will sign.
    package var next: SigningKeyRecord {
        guard let record = records.first(where: { $0.state == .next }) else {
            preconditionFailure("a list of keys has one that is to follow")
        }
        return record
    }

    /// The name of the list's file.
    package static let fileName = "keys.json"
    private static let version: Int64 = 1
}

// MARK: - As text

extension SigningKeyManifest {
    /// The list as a JSON text, times in milliseconds since 1970.
    package var text: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.number("version", Self.version)
        writer.string("cause", cause.rawValue)
        writer.beginArray("keys")
        for record in records {
            writer.beginObject()
            writer.string("kid", record.kid)
            writer.string("algorithm", record.algorithm.name)
            writer.string("state", record.state.rawValue)
            writer.number("created", record.created.milliseconds)
            writer.number("since", record.since.milliseconds)
            writer.number("token_lifetime", record.tokenMilliseconds)
            if let end = record.goodUntil { writer.number("good_until", end.milliseconds) }
            writer.endObject()
        }
        writer.endArray()
        writer.beginArray("former")
        for key in former {
            writer.beginObject()
            writer.string("kid", key.kid)
            writer.boolean("withdrawn", key.isWithdrawn)
            writer.number("until", key.until.milliseconds)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// nil: the text is no list of keys, or one without exactly one active and one next.
    package init?(parsing text: [UInt8]) {
        guard let document = try? JSONDocument(parsing: text, nodesMax: 16_384),
            document.root["version"]?.integer == Self.version,
            let cause = document.root["cause"]?.string.flatMap(KeyChangeCause.init(rawValue:)),
            let keys = document.root["keys"], let former = document.root["former"]
        else { return nil }
        let records = keys.elements.compactMap(SigningKeyRecord.init)
        let names = former.elements.compactMap(FormerKey.init)
        guard records.count == keys.elements.count, names.count == former.elements.count,
            records.count(where: { $0.state == .active }) == 1,
            records.count(where: { $0.state == .next }) == 1,
            Set(records.map(\.kid) + names.map(\.kid)).count == records.count + names.count
        else { return nil }
        self.init(records: records, former: names, cause: cause)
    }
}

extension SigningKeyRecord {
    fileprivate init?(_ value: JSONValue) {
        guard let kid = KeyName.read(value["kid"]),
            let algorithm = value["algorithm"]?.string.flatMap(SignatureAlgorithm.init(name:)),
            let state = value["state"]?.string.flatMap(State.init(rawValue:)),
            let created = value["created"]?.integer, let since = value["since"]?.integer,
            let tokenMilliseconds = value["token_lifetime"]?.integer, tokenMilliseconds >= 0
        else { return nil }
        let goodUntil = value["good_until"]?.integer
        guard (goodUntil != nil) == (state == .retired) else { return nil }
        self.init(
            kid: kid, algorithm: algorithm, state: state, created: WallTime(milliseconds: created),
            since: WallTime(milliseconds: since), tokenMilliseconds: tokenMilliseconds,
            goodUntil: goodUntil.map(WallTime.init(milliseconds:)))
    }
}

extension FormerKey {
    fileprivate init?(_ value: JSONValue) {
        guard let kid = KeyName.read(value["kid"]), let isWithdrawn = value["withdrawn"]?.boolean,
            let until = value["until"]?.integer
        else { return nil }
        self.init(kid: kid, isWithdrawn: isWithdrawn, until: WallTime(milliseconds: until))
    }
}

/// The name of a key that is also the name of its file.
private enum KeyName {
    /// Letters, digits, `-` and `_`, as names that are made here have them: nothing that leads elsewhere.
    static func read(_ value: JSONValue?) -> String? {
        guard let name = value?.string, (1...64).contains(name.utf8.count),
            name.utf8.allSatisfy({ byte in
                let letter = byte | 0x20
                return letter &- 97 < 26 || byte &- 48 < 10 || byte == 0x2D || byte == 0x5F
            })
        else { return nil }
        return name
    }
}
