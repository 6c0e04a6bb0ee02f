// A running gateway hands over to another process of the same state directory, for an upgrade that no client
// notices. The successor gets the listening sockets themselves: two processes that each open their own on one
// port (SO_REUSEPORT) would lose the connections that wait in the older one's queue when it closes.
//
//     successor                        this gateway
//     take over                    →
//                                  ←   listeners, with the sockets
//     (prepares itself)
//     release                      →   answers say that connections end; after a moment nothing new is taken
//                                      in (it waits in the sockets), and the store is closed
//                                  ←   released
//     (opens the store, serves)
//     serving                      →   drains and ends
//
// When the successor goes before it serves, this gateway opens the store and goes on.

import Configuration
import Dispatch
import Glibc
import Network
import Observability
import Proxy
import Sessions

/// How far handing over has come.
@MainActor
final class HandOver {
    let successor: Conversation
    var hasReleased = false

    init(to successor: Conversation) { self.successor = successor }
}

extension RunCommand {
    /// Opens the socket for other processes. Where it cannot be, all else works.
    func listenToProcesses(_ state: StateDirectory, takesPlace: Bool) {
        do throws(SystemError) {
            processSocket = try ProcessSocket(path: state.socketPath, takesPlace: takesPlace) {
                [self] line, conversation in hear(line, conversation)
            }
        } catch {
            services?.log.warning(
                "\(state.socketPath) cannot be listened on (\(error.reason)): no 'reload', no hand-over")
        }
    }

    private func hear(_ line: String, _ conversation: Conversation) {
        switch line {
        case "reload":
            reload { outcome in
                conversation.say(outcome.line)
                conversation.end()
            }
        case "take over": beginHandOver(conversation)
        case "release" where handOver?.successor === conversation: prepareRelease()
        case "serving" where handOver?.successor === conversation: endHandedOver()
        default: conversation.end()
        }
    }

    private func beginHandOver(_ successor: Conversation) {
        guard let server, !isStopping, handOver == nil else {
            successor.end()
            return
        }
        handOver = HandOver(to: successor)
        successor.ended = { [self] in takeUpAgain() }
        logs?.service.info("handing over to process \(successor.process ?? 0)")
        successor.say("listeners", passing: server.sockets)
    }

    /// Clients that send without a pause are told in an answer that their connection ends, and come again:
    /// to the successor, most of them.
    private func prepareRelease() {
        server?.keepConnections(false)
        after(milliseconds: Self.lastRequestsMilliseconds) { [self] in
            if handOver != nil { release() }
        }
    }

    private func release() {
        guard let handOver, let sessions else { return }
        server?.accept(false)
        handOver.hasReleased = true
        sessions.release {
            DispatchQueue.main.async {
                MainActor.assumeIsolated { () -> Void in handOver.successor.say("released") }
            }
        }
    }

    private func endHandedOver() {
        guard let handOver, let server, let configuration else { return }
        if let process = handOver.successor.process { supervision?.tell("MAINPID=\(process)") }
        handOver.successor.end()
        isStopping = true
        logs?.service.info("handed over: what has begun ends here")
        server.drain(milliseconds: Int(configuration.drainTimeoutMilliseconds), isHandedOver: true) {
            [self] in
            MainActor.assumeIsolated { () -> Void in end() }
        }
    }

    /// The successor has gone before it served.
    private func takeUpAgain() {
        guard let handOver, let server else { return }
        if handOver.hasReleased && !openStoreAgain() {
            // It may be about to end, and holds the store until it has.
            after(milliseconds: Self.retryMilliseconds) { [self] in takeUpAgain() }
            return
        }
        self.handOver = nil
        server.keepConnections(true)
        server.accept(true)
        logs?.service.error("the successor has gone before it served: this gateway goes on")
    }

    private func openStoreAgain() -> Bool {
        guard let sessions, let configuration, let keyWatch else { return false }
        let path = StateDirectory.databasePath(in: configuration.stateDirectory)
        do throws(StoreError) {
            try sessions.resume(refreshKeys: keyWatch.refreshKeys, policy: SessionPolicy(configuration)) {
                () throws(StoreError) in try SQLiteSessionStore(path: path)
            }
            return true
        } catch {
            return false
        }
    }

    /// SIGUSR2: starts the program that stands now where this one did, and has it take over.
    func startSuccessor() {
        let arguments = CommandLine.arguments.filter { $0 != Self.takeOverOption } + [Self.takeOverOption]
        do throws(SystemError) {
            let process = try Processes.start(arguments)
            logs?.service.info("process \(process) has been started to take over")
        } catch {
            logs?.service.error("no successor can be started: \(error)")
        }
    }

    /// SIGCHLD: a successor that could not.
    func noteEndedProcesses() {
        while let ended = Processes.ended() {
            logs?.service.error(
                "process \(ended.process), which was to take over, has ended with \(ended.status)")
        }
    }

    nonisolated static let takeOverOption = "--take-over"
    private static let lastRequestsMilliseconds = 500
    private static let retryMilliseconds = 100
}
