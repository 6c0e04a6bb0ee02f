// Signals, and the orderly end: no new connections, the others end with their exchange, and then the logs are
// complete.

import Configuration
import Dispatch
import Glibc
import Network
import Observability
import Proxy

extension RunCommand {
    func handleSignals() {
        do throws(SystemError) {
            signals = try Signals([SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD], queue: .main) {
                [self] number in
                MainActor.assumeIsolated { heed(number) }
            }
        } catch {
            Console.error("auth-gateway: signals cannot be watched: \(error)")
            ExitCode.failure.end()
        }
    }

    private func heed(_ signal: Int32) {
        switch signal {
        case SIGHUP: reload()
        case SIGUSR1: logs?.reopen()
        case SIGUSR2: startSuccessor()
        case SIGCHLD: noteEndedProcesses()
        default: stop()
        }
    }

    /// The first signal drains; a second one does not wait.
    private func stop() {
        guard !isToldToStop, let server, let configuration else {
            end()
            return
        }
        isToldToStop = true
        // It has handed over, and drains already: its supervisor stops all that is left of the service.
        if isStopping { return }
        let isHandedOver = callOffHandOver()
        isStopping = true
        supervision?.tell("STOPPING=1", "STATUS=stopping")
        processSocket?.removeFile()
        server.announceEnd()
        after(milliseconds: Int(configuration.drainDelayMilliseconds)) { [self] in
            logs?.service.info("stopping: no new connections, the others end with their exchange")
            server.drain(
                milliseconds: Int(configuration.drainTimeoutMilliseconds), isHandedOver: isHandedOver
            ) { [self] in
                MainActor.assumeIsolated { () -> Void in end() }
            }
        }
    }

    func end() {
        logs?.service.info("stopped")
        logs?.finish()
        ExitCode.success.end()
    }
}
