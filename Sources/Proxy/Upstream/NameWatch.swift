// Keeps what the upstreams' host names mean up to date: looked up at the start, and again and again, each on
// its resolver's queue. A name that is not known yet is asked for more often.

import Configuration
import Dispatch
import Network
import Observability

/// Looks the names of upstreams up.
enum NameWatch {
    /// Starts looking, and at the start of the gateway waits a while for the first answer of each. It serves
    /// without them all the same: an upstream without a server answers 503.
    static func start(_ targets: [UpstreamTarget], log: ServiceLog, waits: Bool) {
        let first = DispatchGroup()
        for target in targets {
            for name in target.directory.names {
                first.enter()
                lookUp(name.resolver, target, at: name.index, afterMilliseconds: 0, log) { first.leave() }
            }
        }
        if waits { _ = first.wait(timeout: .now() + .milliseconds(firstWaitMilliseconds)) }
    }

    private static func lookUp(
        _ resolver: NameResolver, _ target: UpstreamTarget, at index: Int, afterMilliseconds delay: Int64,
        _ log: ServiceLog, answered: @escaping @Sendable () -> Void
    ) {
        resolver.lookUp(afterMilliseconds: Int(delay)) { result in
            let finding = target.directory.learn(result, at: index)
            let isKnown = target.directory.isKnown(index)
            let name = "upstream \(target.configuration.name): \(resolver.host)"
            switch finding {
            case .unchanged: break
            case .changed:
                let addresses = (try? result.get()) ?? []
                log.info("\(name) is \(addresses.map(\.host).joined(separator: ", "))")
            case .failed(let reason):
                let meanwhile = isKnown ? "its last addresses stay" : "it has no address yet"
                log.warning("\(name): \(reason); \(meanwhile)")
            }
            answered()
            if target.directory.isStopped { return }
            let interval = target.configuration.resolveMilliseconds
            lookUp(
                resolver, target, at: index,
                afterMilliseconds: isKnown ? interval : min(interval, unknownMilliseconds), log, answered: {})
        }
    }

    private static let firstWaitMilliseconds = 3_000
    /// How soon a name is asked for again that has had no answer yet.
    private static let unknownMilliseconds: Int64 = 1_000
}
