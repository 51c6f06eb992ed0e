// SPDX-License-Identifier: MIT
// etlnode/pages.cc: etlnode-pages FOLDER: writes the generated documents: one page a state machine, and the table of routes.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/stat.h>

#include "role/shared/role_machines.h"
#include "role/shared/route.h"
#include "sm/sm_render.h"

namespace etlnode {

static bool write_file(const std::string &path, const std::string &text)
{
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fclose(file) != 0) {
        std::fprintf(stderr, "etlnode-pages: cannot write %s: %s\n", path.c_str(), std::strerror(errno));
        return false;
    }
    return true;
}

static int run_main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: etlnode-pages FOLDER\n");
        return 2;
    }
    std::string folder = argv[1];
    mkdir((folder + "/machines").c_str(), 0777);
    bool good = true;
    std::string index =
        "# State machines\n\nGenerated from the tables in the source by `make docs`.\n\n| machine | states | rows |\n|---|---|---|\n";
    for (const sm_view &view : machines_all()) {
        std::string name = view.name;
        good = write_file(folder + "/machines/" + name + ".md", sm_render_page(view)) && good;
        index += "| [" + name + "](" + name + ".md) | " + std::to_string(view.states.size()) + " | " + std::to_string(view.rows.size()) +
                 " |\n";
    }
    good = write_file(folder + "/machines/README.md", index) && good;
    good = write_file(folder + "/ROUTES.md",
               "# Routes\n\nGenerated from src/role/route_table.cc by `make docs`. PROTOCOL.md explains them.\n\n" + route_table_text()) &&
           good;
    return good ? 0 : 1;
}

} // namespace etlnode

int main(int argc, char **argv) { return etlnode::run_main(argc, argv); }
