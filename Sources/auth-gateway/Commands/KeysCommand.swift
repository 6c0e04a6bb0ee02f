// `auth-gateway keys`: shows, changes over and takes back the gateway's own keys. Works on the state
// directory of the configuration, whether a gateway runs on it or not; one that does takes the change up
// by itself. Names and times are printed, never a key.

import Configuration
import JOSE
import Network
import Primitives
import Sessions

/// A request of `auth-gateway keys`.
enum KeysRequest: Equatable {
    case list(isJSON: Bool)
    case rotate(force: Bool)
    case rotateRefresh(force: Bool)
    case retire(kid: String, isNow: Bool)
}

/// Carries out `auth-gateway keys`.
enum KeysCommand {
    typealias Problem = StateDirectory.Problem

    static func run(_ request: KeysRequest, configuration path: String) -> ExitCode {
        guard let configuration = CheckCommand.configuration(at: path) else { return .configuration }
        do throws(Problem) {
            try run(request, configuration)
            return .success
        } catch {
            Console.error("auth-gateway: \(error.reason)")
            return .failure
        }
    }

    private static func run(_ request: KeysRequest, _ configuration: GatewayConfiguration) throws(Problem) {
        let directory = KeyDirectory(state: configuration.stateDirectory)
        let isOfFiles = !configuration.accessToken.signingKeys.isEmpty
        switch request {
        case .list(let isJSON):
            let listing = try KeyListing(configuration, directory, now: Clock.wall)
            Console.print(isJSON ? listing.json : listing.text)
        case .rotateRefresh(let force):
            try rotateRefreshKey(configuration, directory, force: force)
        case .rotate where isOfFiles, .retire where isOfFiles:
            throw Problem(
                reason:
                    "the keys are those of 'signing_key' in the configuration: nothing is made or changed"
            )
        case .rotate(let force):
            try change(configuration, directory) { ring, policy, now throws(KeyRingRefusal) in
                try ring.rotate(.command, force: force, policy: policy, now: now)
            }
        case .retire(let kid, let isNow):
            try change(configuration, directory) { ring, policy, now throws(KeyRingRefusal) in
                if isNow {
                    try ring.withdraw(kid, policy: policy, now: now)
                } else {
                    try ring.retire(kid, policy: policy, now: now)
                }
            }
        }
    }

    private static func change(
        _ configuration: GatewayConfiguration, _ directory: KeyDirectory,
        _ change: (inout SigningKeyRing, SigningKeyPolicy, WallTime) throws(KeyRingRefusal) -> Void
    ) throws(Problem) {
        let policy = SigningKeyPolicy(configuration)
        guard try directory.manifestText() != nil else {
            throw Problem(reason: "there are no keys yet: the first 'auth-gateway run' makes them")
        }
        let lock = try directory.waitForLock()
        let text = try directory.manifestText() ?? []
        let old = try directory.ring(text, known: nil)
        let ring = try OwnKeys.changed(old) { ring throws(KeyRingRefusal) in
            try change(&ring, policy, Clock.wall)
        }
        try directory.store(ring, replacing: old.manifest)
        _ = consume lock
        let active = ring.manifest.active
        Console.print("\(active.algorithm.name) key \(active.kid) signs new tokens\n\(takenUp)")
    }

    private static func rotateRefreshKey(
        _ configuration: GatewayConfiguration, _ directory: KeyDirectory, force: Bool
    ) throws(Problem) {
        guard try directory.refreshText() != nil else {
            throw Problem(reason: "there is no refresh key yet: the first 'auth-gateway run' makes it")
        }
        try directory.make()
        let lock = try directory.waitForLock()
        var ring = try directory.refreshRing(try directory.refreshText() ?? [])
        do throws(RefreshKeyRefusal) {
            try ring.rotate(
                idle: configuration.refreshToken.idleLifetimeMilliseconds, force: force, now: Clock.wall)
        } catch {
            throw Problem(reason: error.sentence)
        }
        try directory.store(ring)
        _ = consume lock
        let since = CivilTime(ring.keys[0].since).rfc3339
        Console.print("refresh key \(ring.keys[0].number) makes new refresh tokens from \(since)\n\(takenUp)")
    }

    private static let takenUp = "a running gateway takes this up within 10 s, at once by SIGHUP"
}

/// The keys as people and programs read them.
struct KeyListing {
    private var signing: [(record: SigningKeyRecord, end: WallTime?)] = []
    private var files: [(key: SigningKeyFile, state: String)] = []
    private var refresh: [(key: RefreshKey, state: String)] = []

    init(
        _ configuration: GatewayConfiguration, _ directory: KeyDirectory, now: WallTime
    ) throws(StateDirectory.Problem) {
        let token = configuration.accessToken
        files = token.signingKeys.enumerated().map { ($1, $0 == 0 ? "active" : "verifies") }
        if files.isEmpty, let text = try directory.manifestText() {
            let manifest = try directory.manifest(text)
            let order: [SigningKeyRecord.State] = [.active, .next, .retired]
            for state in order {
                for record in manifest.records where record.state == state {
                    signing.append((record, Self.end(of: record, token)))
                }
            }
        }
        if let text = try directory.refreshText() {
            let ring = try directory.refreshRing(text)
            let current = ring.keys(at: now)[0].number
            refresh = ring.keys.map { key in
                (key, key.number == current ? "current" : key.since > now ? "next" : "previous")
            }
        }
    }

    /// When a key comes to the end of its state by itself.
    private static func end(of record: SigningKeyRecord, _ token: AccessTokenConfiguration) -> WallTime? {
        switch record.state {
        case .next: nil
        case .active: token.keyLifetimeMilliseconds.map { record.since.advanced(byMilliseconds: $0) }
        case .retired: record.goodUntil
        }
    }

    var text: String {
        var lines: [String] = []
        for (record, end) in signing {
            let until = end.map { ", until \(CivilTime($0).rfc3339)" } ?? ""
            let start = CivilTime(record.since).rfc3339
            lines.append(
                Self.column(record.state.rawValue, 10) + Self.column(record.algorithm.name, 7)
                    + "\(record.kid)  since \(start)\(until)")
        }
        for (key, state) in files {
            lines.append(
                Self.column(state, 10) + Self.column(key.algorithm, 7)
                    + "\(key.kid ?? "(thumbprint)")  \(key.file.path)")
        }
        for (key, state) in refresh {
            let since = key.since.milliseconds > 0 ? "  since \(CivilTime(key.since).rfc3339)" : ""
            lines.append(Self.column(state, 10) + "refresh key \(key.number)\(since)")
        }
        return lines.isEmpty ? "no keys yet: the first start makes them" : lines.joined(separator: "\n")
    }

    var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.beginArray("signing_keys")
        for (record, end) in signing {
            writer.beginObject()
            writer.string("kid", record.kid)
            writer.string("algorithm", record.algorithm.name)
            writer.string("state", record.state.rawValue)
            writer.string("created", CivilTime(record.created).rfc3339)
            writer.string("since", CivilTime(record.since).rfc3339)
            if let end { writer.string("until", CivilTime(end).rfc3339) }
            writer.endObject()
        }
        for (key, state) in files {
            writer.beginObject()
            if let kid = key.kid { writer.string("kid", kid) }
            writer.string("algorithm", key.algorithm)
            writer.string("state", state)
            writer.string("file", key.file.path)
            writer.endObject()
        }
        writer.endArray()
        writer.beginArray("refresh_keys")
        for (key, state) in refresh {
            writer.beginObject()
            writer.number("number", Int64(key.number))
            writer.string("state", state)
            if key.since.milliseconds > 0 { writer.string("since", CivilTime(key.since).rfc3339) }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func column(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
}
