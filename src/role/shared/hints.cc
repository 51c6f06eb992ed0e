// SPDX-License-Identifier: MIT
// role/shared/hints.cc: error texts for names that do not exist. AIStore's clients match the words before the brackets.
//
// Known by  the handlers of both roles.
// Limits   hint_names_max.
#include "role/shared/hints.h"

#include "base/text.h"

namespace etlnode {

static constexpr size_t hint_names_max = 5;

std::string hint_text(std::string_view wanted, const std::vector<std::string_view> &names)
{
    if (names.empty())
        return " (there are none)";
    std::string_view nearest = text_nearest(wanted, names);
    if (!nearest.empty())
        return " (did you mean \"" + text_escape(nearest) + "\"?)";
    std::string out = names.size() == 1 ? " (there is: " : " (there are: ";
    for (size_t i = 0; i < names.size() && i < hint_names_max; i++)
        out += (i > 0 ? ", " : "") + text_escape(names[i]);
    if (names.size() > hint_names_max)
        out += text_format(" and %zu more", names.size() - hint_names_max);
    return out + ")";
}

std::string hint_bucket_missing(std::string_view bucket, const std::vector<std::string_view> &names)
{
    return "bucket \"ais://" + text_escape(bucket) + "\" does not exist" + hint_text(bucket, names);
}

std::string hint_etl_missing(std::string_view etl, const std::vector<std::string_view> &names)
{
    return "etl job " + text_escape(etl) + " does not exist" + hint_text(etl, names);
}

} // namespace etlnode
