// Bodies coming in: a request's way upstream, in bounded pieces, or into an endpoint's hands.

import Configuration
import HTTP
import Network
import Primitives

extension DownstreamConnection {
    // MARK: - Bodies going upstream

    /// Moves what has arrived of the request's body to the upstream, as long as it takes it.
    func relayRequestBody() {
        var turns = 0
        while !exchange.requestIsComplete, let upstream = exchange.upstream {
            turns += 1
            if turns > Self.relayTurnsMax {
                shard.loop.callAgain(self)
                return
            }
            relay(to: upstream)
            guard exchange.phase == .relaying, upstream === exchange.upstream else { return }
            upstream.flush()
            // Told once of what has arrived, so on until one side has no more to give or to take.
            if !upstream.acceptsContent || (input.isEmpty && !transport.mayReceive) { return }
        }
    }

    private func relay(to upstream: UpstreamConnection) {
        let limits = shard.runtime.messageLimits
        // Up to a full output of the upstream at a time: the caller counts the turns.
        while !exchange.requestIsComplete && upstream.acceptsContent {
            if input.isEmpty && !receive() { break }
            if input.isEmpty { break }
            do throws(ProtocolViolation) {
                let step = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    let step = try exchange.requestBody.step(bytes, from: 0, limits: limits)
                    upstream.appendContent(bytes.extracting(step.content.offsets), framing: head.framing)
                    return step
                }
                input.consume(step.consumed)
                exchange.requestBytes += UInt64(step.content.count)
                exchange.requestIsComplete = step.isComplete
            } catch {
                refuse(.violation(error))
                return
            }
            if exchange.requestBytes > exchange.requestBytesMax {
                refuse(.bodyTooLarge)
                return
            }
        }
        if exchange.requestIsComplete {
            upstream.endContent(framing: head.framing)
        } else if hasEnded && input.isEmpty {
            abort(.clientClosed)
        }
    }

    /// Rounds in one go, of at most 64 kB each; then other connections have their turn.
    private static let relayTurnsMax = 8

    // MARK: - Bodies for endpoints

    func beginCollecting(bytesMax: Int) {
        exchange.requestBytesMax = UInt64(bytesMax)
        if case .length(let length) = head.framing, length > exchange.requestBytesMax {
            refuse(.bodyTooLarge)
            return
        }
        exchange.phase = .collecting
        // RFC 9110 §10.1.1: nobody else will tell the client to go on.
        if head.expectsContinue && input.isEmpty { output.append("HTTP/1.1 100 Continue\r\n\r\n") }
    }

    /// Answers once the request's body, a small one, has been read and dropped: the connection lives on, and
    /// no browser sees a reset instead of the answer.
    func respondAfterBody(_ response: LocalResponse) {
        if exchange.requestIsComplete || head.expectsContinue {
            respond(response)
            return
        }
        exchange.isDiscarding = true
        exchange.pending = response
        exchange.phase = .collecting
    }

    /// Takes a small body in; once it is whole, the endpoint answers. false: more must arrive.
    func collectBody() -> Bool {
        let limits = shard.runtime.messageLimits
        while !exchange.requestIsComplete {
            if input.isEmpty {
                if hasEnded {
                    abort(.clientClosed)
                    return false
                }
                return receive()
            }
            do throws(ProtocolViolation) {
                let step = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    let step = try exchange.requestBody.step(bytes, from: 0, limits: limits)
                    exchange.requestBytes += UInt64(step.content.count)
                    if !exchange.isDiscarding {
                        exchange.collected += [UInt8](copying: bytes.extracting(step.content.offsets))
                    }
                    return step
                }
                input.consume(step.consumed)
                exchange.requestIsComplete = step.isComplete
            } catch {
                refuse(.violation(error))
                return true
            }
            if exchange.requestBytes > exchange.requestBytesMax {
                refuse(.bodyTooLarge)
                return true
            }
        }
        if let response = exchange.pending {
            respond(response)
        } else if role.isControl {
            ControlEndpoint.handle(self)
        } else {
            Endpoint.handle(self)
        }
        return exchange.phase != .collecting
    }
}
