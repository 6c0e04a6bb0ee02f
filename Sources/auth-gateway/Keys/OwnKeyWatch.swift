// Puts the gateway's own keys in force on what runs, without a restart and without a dropped request:
// shards first where they do not know the key that is to sign, then the signer, then what verifies no
// more.
//
// Owned by: the main queue.

import Configuration
import JOSE
import Network
import Observability
import Proxy
import Sessions

/// The keys of the running gateway.
@MainActor
final class OwnKeyWatch {
    private var keys: OwnKeys
    /// What the shards verify with.
    private(set) var inForce: KeySet
    /// Tells a change that has been overtaken by another one.
    private var serial = 0
    private let server: Server
    private let sessions: RefreshService
    private let services: GatewayServices

    var refreshKeys: [RefreshKey] { keys.refreshKeys }

    /// How often the files are looked at.
    static let intervalSeconds = 10

    init(_ keys: OwnKeys, _ server: Server, _ sessions: RefreshService, _ services: GatewayServices) {
        self.keys = keys
        inForce = keys.keySet
        self.server = server
        self.sessions = sessions
        self.services = services
        services.status.set(keys: keys.listed)
    }

    /// The keys as another configuration has them; nothing has changed yet.
    func keys(following configuration: GatewayConfiguration) throws(RuntimeError) -> OwnKeys {
        var new = keys
        do throws(StateDirectory.Problem) {
            try new.follow(configuration, now: Clock.wall)
        } catch {
            throw RuntimeError(reason: error.reason)
        }
        return new
    }

    /// Goes over to the keys of a configuration that is in force.
    func change(to new: OwnKeys) {
        let isOther = keys.signingKey !== new.signingKey
        keys = new
        look(adoptsAlgorithm: true, isOther: isOther)
    }

    /// Looks at the files, and puts in force what is new.
    func look(adoptsAlgorithm: Bool = false, isOther: Bool = false) {
        let news = keys.look(now: Clock.wall, adoptsAlgorithm: adoptsAlgorithm)
        if let problem = news.problem { services.log.error("the old keys stay: \(problem)") }
        for (cause, kid) in news.rotated {
            services.audit.record("keys_rotated", [("event.reason", cause), ("key.id", kid)])
        }
        for kid in news.withdrawn { services.audit.record("key_withdrawn", [("key.id", kid)]) }
        if news.hasRefreshChange { sessions.change(refreshKeys: keys.refreshKeys) }
        services.status.set(keys: keys.listed)
        if news.hasSigningChange || isOther { putInForce() }
    }

    private func putInForce() {
        serial += 1
        let (serial, set, key) = (serial, keys.keySet, keys.signingKey)
        if inForce.keys.contains(where: { $0.identity == key.verificationKey.identity }) {
            finish(set, key)
            return
        }
        inForce = set.joined(with: inForce)
        server.change(keys: inForce) { [self] in
            MainActor.assumeIsolated { if serial == self.serial { finish(set, key) } }
        }
    }

    /// Every shard knows the key that signs from here on.
    private func finish(_ set: KeySet, _ key: SigningKey) {
        do throws(JOSEError) {
            try sessions.change(signingKey: key)
        } catch {
            services.log.error("the old keys stay: \(key) cannot sign")
            return
        }
        inForce = set
        server.change(keys: set) { [services] in
            services.log.info("keys_reloaded: \(key) signs, \(set.keys.count) keys verify")
        }
    }
}

extension OwnKeys {
    /// The keys as the status page lists them.
    fileprivate var listed: [GatewayStatus.Key] {
        if !records.isEmpty {
            return records.map {
                GatewayStatus.Key(
                    kid: $0.kid, algorithm: $0.algorithm.name, state: $0.state.rawValue, created: $0.created)
            }
        }
        return keySet.keys.map {
            GatewayStatus.Key(
                kid: $0.kid ?? "", algorithm: $0.algorithm.name, state: "file", created: nil)
        }
    }
}
