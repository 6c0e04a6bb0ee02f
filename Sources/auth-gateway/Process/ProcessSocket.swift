// The socket in the state directory on which the running gateway can be spoken to by whoever may read its
// keys: for a reload that tells how it went, and to hand over to a successor. Lines in both directions.
//
// Owned by: the main queue. Few and short conversations: a Dispatch source for each.

import Dispatch
import Glibc
import Network

/// Listens for other processes of the same owner.
@MainActor
final class ProcessSocket {
    private let listener: Listener
    private let source: any DispatchSourceRead

    /// - Parameters:
    ///   - takesPlace: the socket of a predecessor that still listens is replaced.
    ///   - hear: receives each line, and whom to answer.
    init(
        path: String, takesPlace: Bool, hear: @escaping @MainActor (String, Conversation) -> Void
    ) throws(SystemError) {
        guard let address = SocketAddress(unixPath: path) else {
            throw SystemError(code: ENAMETOOLONG, call: "bind")
        }
        let listener = try Listener(on: address, takesPlace: takesPlace, mode: 0o600)
        self.listener = listener
        source = DispatchSource.makeReadSource(fileDescriptor: listener.number, queue: .main)
        source.setEventHandler {
            MainActor.assumeIsolated {
                while let accepted = try? listener.accept() { Conversation(accepted, hear).begin() }
            }
        }
        source.resume()
    }

    /// Nobody new finds it any more.
    func removeFile() { listener.removeFile() }
}

/// One process that speaks to this one. Kept alive by its source until either side ends it.
@MainActor
final class Conversation {
    private let stream: LocalStream
    private let hear: @MainActor (String, Conversation) -> Void
    private var source: (any DispatchSourceRead)?
    /// What is to be done when the other side goes without a word.
    var ended: @MainActor () -> Void = {}

    init(_ accepted: Accepted, _ hear: @escaping @MainActor (String, Conversation) -> Void) {
        stream = LocalStream(accepted)
        self.hear = hear
    }

    /// The process at the other end.
    var process: Int32? { stream.peerProcess }

    func begin() {
        let source = DispatchSource.makeReadSource(fileDescriptor: stream.number, queue: .main)
        source.setEventHandler { MainActor.assumeIsolated { self.listen() } }
        // The descriptor has to outlive the source.
        source.setCancelHandler { MainActor.assumeIsolated { withExtendedLifetime(self) {} } }
        self.source = source
        source.resume()
    }

    /// Says a line; false when nobody hears it any more.
    @discardableResult
    func say(_ line: String, passing listeners: [Listener] = []) -> Bool {
        do throws(SystemError) {
            try stream.send(line, passing: listeners)
            return true
        } catch {
            return false
        }
    }

    /// Ends it.
    func end() {
        ended = {}
        source?.cancel()
        source = nil
    }

    /// Ends it, and does what is to be done when the other side goes.
    func breakOff() {
        let ended = ended
        end()
        ended()
    }

    private func listen() {
        while source != nil {
            switch try? stream.receive() {
            case .line(let line): hear(line, self)
            case .nothing: return
            case .ended, nil: breakOff()
            }
        }
    }
}
