// The other side of `HandOver`: a gateway that begins where another one is still serving.
//
// Blocks while it waits for its predecessor: it serves nobody yet.

import Glibc
import Network

/// A gateway that hands over to this process.
struct Predecessor {
    private let stream: LocalStream
    /// Its listening sockets.
    let listeners: [Listener]

    /// Whether the gateway that serves on a state directory has started this process.
    static func isParent(in directory: String) -> Bool {
        let parent = getppid()
        // The first process of a container would be the parent again of whom its child starts.
        guard parent != 1,
            let stream = try? LocalStream(
                connectingTo: StateDirectory.socketPath(in: directory), seconds: seconds)
        else { return false }
        return stream.peerProcess == parent
    }

    /// nil: nobody serves on this state directory.
    init?(in directory: String) throws(StartProblem) {
        do throws(SystemError) {
            stream = try LocalStream(
                connectingTo: StateDirectory.socketPath(in: directory), seconds: Self.seconds)
        } catch {
            if error.isNotFound || error.isRefusal { return nil }
            throw StartProblem(reason: "the running gateway cannot be reached: \(error)")
        }
        try Self.say("take over", to: stream)
        let words = try Self.line(from: stream).split(separator: " ")
        if words.first != "listeners" { throw StartProblem(reason: Self.refusal) }
        do throws(SystemError) {
            listeners = try stream.takeListeners(lent: words.dropFirst().compactMap { Int($0) })
        } catch {
            throw StartProblem(reason: "the running gateway's sockets cannot be used: \(error)")
        }
    }

    /// Has it close the store. From here until `tellServing`, nobody is served.
    ///
    /// One that has died since it passed its sockets on has closed it: if not, the lock on the store tells.
    func awaitRelease() throws(StartProblem) {
        guard (try? stream.send("release")) != nil else { return }
        let line = try Self.line(from: stream)
        if line != "released" && !line.isEmpty { throw StartProblem(reason: Self.refusal) }
    }

    /// Has it end, if it has not: then its store and its sockets are here all the same.
    func tellServing() { try? stream.send("serving") }

    private static func say(_ line: String, to stream: LocalStream) throws(StartProblem) {
        do throws(SystemError) {
            try stream.send(line)
        } catch {
            throw StartProblem(reason: "the running gateway does not hand over: \(error)")
        }
    }

    /// What it says; nothing where it has gone.
    private static func line(from stream: LocalStream) throws(StartProblem) -> String {
        let received: LocalStream.Received
        do throws(SystemError) {
            received = try stream.receive()
        } catch {
            throw StartProblem(reason: "the running gateway does not hand over: \(error)")
        }
        switch received {
        case .line("stopping"):
            throw StartProblem(reason: "the running gateway has been told to stop: it does not hand over")
        case .line(let line): return line
        case .ended: return ""
        case .nothing: throw StartProblem(reason: "the running gateway does not answer")
        }
    }

    private static let refusal = "the running gateway does not hand over, or is doing so already"
    private static let seconds = 30
}
