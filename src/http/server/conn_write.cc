// SPDX-License-Identifier: MIT
// http/server/conn_write.cc: what a connection writes: an answer from memory or from a file.
//
// Owns     nothing: it works on the exchange's output between steps of its machine.
#include <algorithm>

#include "http/server/conn_machine.h"

namespace etlnode {

using E = exchange::event;

static io_result write_memory(exchange &x)
{
    std::string_view body = x.body_view.data() != nullptr ? x.body_view : std::string_view(x.body);
    iovec parts[2];
    size_t count = 0;
    if (x.out_sent < x.out.size())
        parts[count++] = {x.out.data() + x.out_sent, x.out.size() - x.out_sent};
    if (x.body_sent < body.size())
        parts[count++] = {const_cast<char *>(body.data()) + x.body_sent, body.size() - x.body_sent};
    if (count == 0)
        return {io_state::end, 0, no_error};
    io_result sent = net_write(*x.e, x.net, {parts, count}, x.file_left > 0);
    if (sent.state == io_state::done) {
        size_t of_head = std::min(sent.count, x.out.size() - x.out_sent);
        x.out_sent += of_head;
        x.body_sent += sent.count - of_head;
    }
    return sent;
}

void exchange_flush(exchange &x)
{
    for (;;) {
        io_result sent = write_memory(x);
        if (sent.state == io_state::end && x.file_left > 0) {
            sent = net_send_file(*x.e, x.net, x.file, x.file_offset, x.file_left);
            if (sent.state == io_state::done) {
                x.file_offset += sent.count;
                x.file_left -= sent.count;
            }
        } else if (sent.state == io_state::end) {
            exchange_step(x, E::sent);
            return;
        }
        if (sent.state == io_state::done) {
            exchange_count_out(x, sent.count);
            continue;
        }
        exchange_step(x, sent.state == io_state::again ? E::sink_full : E::broken);
        return;
    }
}

} // namespace etlnode
