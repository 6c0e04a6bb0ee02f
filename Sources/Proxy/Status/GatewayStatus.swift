// What the process knows of itself and no shard does: which file it was configured by, how reloads went, its
// keys and certificates. Told by the main queue, read by whoever asks. Has a lock.

package import Primitives
import Synchronization

/// What there is to tell of the process.
package final class GatewayStatus: Sendable {
    /// A key that signs, is to sign, or has signed.
    package struct Key: Sendable, Equatable {
        package let kid: String
        package let algorithm: String
        /// `next`, `active` or `retired`; `file` where the configuration names files.
        package let state: String
        /// nil where nobody knows.
        package let created: WallTime?

        package init(kid: String, algorithm: String, state: String, created: WallTime?) {
            self.kid = kid
            self.algorithm = algorithm
            self.state = state
            self.created = created
        }
    }

    /// A certificate of a listener.
    package struct Certificate: Sendable, Equatable {
        package let names: [String]
        package let file: String
        package let notAfter: WallTime
    }

    /// A reload that was refused.
    package struct Refusal: Sendable, Equatable {
        package let at: WallTime
        package let reason: String
    }

    /// All of it at one moment.
    package struct Moment: Sendable {
        package let version: String
        package let configurationPath: String
        package let started: WallTime
        /// When the configuration in force was loaded.
        package fileprivate(set) var loaded: WallTime
        package fileprivate(set) var reloads: UInt64 = 0
        package fileprivate(set) var refusedReloads: UInt64 = 0
        /// The last reload that was refused, unless one has succeeded since.
        package fileprivate(set) var refusal: Refusal?
        package fileprivate(set) var keys: [Key] = []
        package fileprivate(set) var certificates: [Certificate] = []
    }

    private let moment: Mutex<Moment>

    package init(version: String, configurationPath: String, started: WallTime) {
        moment = Mutex(
            Moment(
                version: version, configurationPath: configurationPath, started: started, loaded: started))
    }

    package var current: Moment { moment.withLock { $0 } }

    package func reloaded(at now: WallTime) {
        moment.withLock { moment in
            moment.reloads += 1
            moment.loaded = now
            moment.refusal = nil
        }
    }

    package func reloadRefused(_ reason: String, at now: WallTime) {
        moment.withLock { moment in
            moment.refusedReloads += 1
            moment.refusal = Refusal(at: now, reason: reason)
        }
    }

    package func set(keys: [Key]) { moment.withLock { $0.keys = keys } }
    package func set(certificates: [Certificate]) { moment.withLock { $0.certificates = certificates } }
}
