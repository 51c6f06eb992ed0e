// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>

#include "aistore/object_query.h"

#include "base/limits.h"
#include "node/api.h"

using namespace etlnode;

static std::string verdict(const std::string &query, bool reads = true)
{
    object_query asked;
    std::string text;
    error err = object_query_read(query, reads ? object_use::read : object_use::put, asked, text);
    if (err)
        return std::string(err.code == error_code::not_implemented ? "501 " : "400 ") + text;
    if (asked.transform == object_transform::none)
        return "plain";
    std::string out = (asked.transform == object_transform::by_id ? "id " : "name ") + asked.etl;
    for (const std::string &etl : asked.pipeline)
        out += " then " + etl;
    return out;
}

static void transforms_are_named_by_id_or_by_name(void **)
{
    test_eq_text(verdict(""), "plain");
    test_eq_text(verdict("uuid=Abcdefghij&pid=p1&utm=5"), "id Abcdefghij");
    test_eq_text(verdict("provider=ais&etl_name=thumbs&etl_args=a%20b"), "name thumbs");
    test_eq_text(verdict("%65tl_name=th%75mbs"), "name thumbs");
    test_eq_text(verdict("etl_name=thumbs&etl_name=thumbs"), "name thumbs");
    test_eq_text(verdict("etl_name=thumbs&uuid=thumbs"), "name thumbs");
}

static void slips_of_the_hand_never_give_the_plain_object(void **)
{
    for (const char *wrong : {"etl", "etlname", "ETL_NAME", "etl-name", "etl_nam", "etl_names", "etl_nmae", "tl_name", "etl_mane",
             "Etl_Name", "etlName", "etl.name", "%65tl"})
        test_eq_text(verdict(std::string(wrong) + "=thumbs"),
            std::string("400 unknown parameter \"") + (wrong[0] == '%' ? "etl" : wrong) + "\": did you mean etl_name?");
    for (const char *wrong : {"uid", "UUID", "etl_id", "etlid", "Uuid", "uuids", "uudi", "uuld", "uuud"})
        test_eq_text(verdict(std::string(wrong) + "=x"), std::string("400 unknown parameter \"") + wrong + "\": did you mean uuid?");
    for (const char *wrong : {"etl_arg", "etlargs", "etl-args", "etl_rags"})
        test_eq_text(verdict("etl_name=thumbs&" + std::string(wrong) + "=x"),
            std::string("400 unknown parameter \"") + wrong + "\": did you mean etl_args?");
    test_has_text(verdict("etl_pipelines=a"), "did you mean etl_pipeline?");
    for (const char *listed : {"uuid[]", "uuid[0]", "UUID[]"})
        test_has_text(verdict(std::string(listed) + "=x"), "did you mean uuid?");
    test_has_text(verdict("etl_name[]=x"), "did you mean etl_name?");
    test_eq_text(verdict("tags[]=x&]=1&[=2"), "plain");
    test_has_text(verdict("a=b;uuid=x"), "400 the parameter a holds \";uuid=\": parameters are separated by &");
    test_has_text(verdict("provider=ais;c;etl_name=x"), "400 the parameter provider holds \";etl_name=\"");
    test_has_text(verdict("a=b%3Betl_name=x"), "400 the parameter a holds");
    for (const char *harmless : {"a=b;c", "a=;;;", "a=b;uuid", "a=b;xuuid=1", "a=;uuids=1"})
        test_eq_text(verdict(harmless), "plain");
    test_has_text(verdict("etl=thumbs", false), "did you mean etl_name?");
}

static void names_of_other_things_pass(void **)
{
    for (std::string_view name : query_names) {
        bool is_ours = name.starts_with("etl_") || name == "uuid" || name.starts_with("arch");
        if (!is_ours)
            test_eq_text(verdict(std::string(name) + "=1"), "plain");
    }
    for (const char *other : {"width=10", "guid=5", "title=x", "model=a", "nlp", "=", "&&", "etl_fqn=%2Fa", "x=%zz", "owt=get", "name=x",
             "e=1", "l", "extra_names=1"})
        test_eq_text(verdict(other), "plain");
}

static void empty_broken_and_contradictory_values_are_refused(void **)
{
    test_has_text(verdict("%20uuid=x"), "did you mean uuid?");
    test_has_text(verdict("etl_name%00=x"), "400 the name of a parameter");
    test_has_text(verdict("etl_name%=x"), "400 the name of a parameter");
    test_has_text(verdict("etl_name="), "400 the parameter etl_name is empty");
    test_has_text(verdict("etl_name"), "400 the parameter etl_name is empty");
    test_has_text(verdict("uuid=&pid=p&utm=1"), "400 the parameter uuid is empty");
    test_has_text(verdict("uuid=&etl_name=thumbs"), "400 the parameter uuid is empty");
    test_has_text(verdict("etl_name=%zz"), "400 the parameter etl_name is not properly percent-encoded");
    test_has_text(verdict("etl_name=a&etl_name=b"), "400 the parameter etl_name is given twice");
    test_has_text(verdict("etl_name=a&etl_args=x&etl_args=y"), "400 the parameter etl_args is given twice, with different values");
    test_has_text(verdict("etl_name=a&etl_args=x&etl_args="), "400 the parameter etl_args is given twice, with different values");
    test_has_text(verdict("etl_name=a&etl_args=&etl_args=x"), "400 the parameter etl_args is given twice, with different values");
    test_eq_text(verdict("etl_name=a&etl_args=x+y&etl_args=x%20y"), "name a");
    test_has_text(verdict("etl_name=a&uuid=b"), "400 uuid and etl_name name two ETLs");
    test_has_text(verdict("etl_args=x"), "400 etl_args is given");
}

static void pipelines_are_lists_behind_a_first_etl(void **)
{
    test_eq_text(verdict("etl_name=a&etl_pipeline=b,c"), "name a then b then c");
    test_eq_text(verdict("uuid=a&etl_pipeline=a"), "id a then a");
    test_eq_text(verdict("etl_pipeline=b%2Cc&etl_name=a"), "name a then b then c");
    test_eq_text(verdict("etl_name=a&etl_pipeline="), "name a");
    test_has_text(verdict("etl_pipeline=b,c"), "400 etl_pipeline is given, and neither etl_name nor uuid");
    test_has_text(verdict("etl_name=a&etl_pipeline=b&etl_pipeline=c"), "400 the parameter etl_pipeline is given twice");
    test_has_text(verdict("etl_name=a&etl_pipeline=%zz"), "400 the parameter etl_pipeline is not properly percent-encoded");
    for (const char *empty : {",", "b,", ",b", "b,,c"})
        test_has_text(verdict("etl_name=a&etl_pipeline=" + std::string(empty)), "400 etl_pipeline: a name is empty");
    std::string most = "b";
    for (size_t i = 2; i < pipeline_stages_max; i++)
        most += ",b";
    test_true(verdict("etl_name=a&etl_pipeline=" + most).starts_with("name a then b"));
    test_has_text(verdict("etl_name=a&etl_pipeline=" + most + ",b"), "400 etl_pipeline: an object goes through at most 16 ETLs");
    test_has_text(verdict("etl_name=a&etl_pipeline=b", false), "501 etl_name= with PUT needs object_to=");
}

static void what_is_not_served_yet_says_so(void **)
{
    test_has_text(verdict("archpath=1.txt&etl_name=a"), "501 a transform of a member of an archive is not implemented");
    test_has_text(verdict("archmode=prefix"), "400 archmode is given without archregx");
    test_has_text(verdict("archpath=a&archregx=b"), "400 archpath and archregx exclude each other");
    test_has_text(verdict("archpath=a&archpath=b"), "400 the parameter archpath is given twice");
    object_query members;
    std::string problem;
    test_ok(object_query_read("archpath=1.txt&archregx=", object_use::read, members, problem));
    test_eq_text(members.member, "1.txt");
    test_ok(object_query_read("archregx=.*&archmode=suffix", object_use::read, members, problem));
    test_eq_text(members.pattern, ".*");
    test_eq_text(members.pattern_mode, "suffix");
    test_eq_text(verdict("archpath=&archregx="), "plain"); // as AIStore's command sends them for a plain read
    test_has_text(verdict("etl_name=thumbs", false), "501 etl_name= with PUT needs object_to=ais/@#/BUCKET/OBJECT");
    test_has_text(verdict("uuid=thumbs", false), "501 uuid= with PUT needs object_to=");
    for (const char *method : {"DELETE", "POST", "PATCH"}) {
        object_query asked;
        std::string text;
        test_true(object_query_read("etl_name=thumbs", object_use_of(method), asked, text).code == error_code::not_implemented);
        test_has_text(text, "etl_name= goes with GET and HEAD, and with PUT if object_to= says where");
    }
    test_eq_text(verdict("uuid=thumbs", true), "id thumbs");
}

static std::string destination(const std::string &query, object_use use = object_use::put)
{
    object_query asked;
    std::string text;
    error err = object_query_read(query, use, asked, text);
    if (err)
        return std::string(err.code == error_code::not_implemented ? "501 " : "400 ") + text;
    return (asked.is_kept ? asked.to_bucket + " " + asked.to_name : "nowhere") + (asked.etl.empty() ? "" : " by " + asked.etl);
}

static void a_put_may_name_where_its_result_is_kept(void **)
{
    test_eq_text(destination(""), "nowhere");
    test_eq_text(destination("object_to=ais%2F%40%23%2Fdst%2Fa%2Fb%20c&latest-ver=false&synchronize=false&pid=p&utm=1"), "dst a/b c");
    test_eq_text(destination("object_to=ais/@%23/dst/o&etl_name=upper&etl_args=x"), "dst o by upper");
    test_eq_text(destination("object_to=ais/@%23/dst/o&uuid=u1"), "dst o by u1");
    test_eq_text(destination("object_to=ais/@%23/dst/o&object_to=ais/@%23/dst/o"), "dst o");
    test_eq_text(destination("object_to=ais/@%23/dst/o", object_use::read), "nowhere"); // it has no meaning there, and never had
    test_has_text(destination("object_to=ais/@%23/dst/o&etl_name=upper", object_use::other), "400 object_to goes with PUT");
    test_has_text(destination("object_to=ais/@%23/dst/o", object_use::other), "400 object_to goes with PUT");
    for (const char *query : {"archpath=a", "archregx=a", "archmode=prefix"}) // a DELETE would remove the whole archive
        test_has_text(destination(query, object_use::other), "501 arch");
    for (const char *wrong : {"object-to", "objectto", "Object_To", "object_to[]", "object_too"})
        test_has_text(destination(std::string(wrong) + "=ais/@%23/dst/o"), "did you mean object_to?");
    test_has_text(destination("object_to="), "400 the parameter object_to is empty");
    test_has_text(destination("object_to=ais/@%23/dst/o&object_to=ais/@%23/dst/p"), "400 the parameter object_to is given twice");
    test_has_text(destination("object_to=%zz"), "400 the parameter object_to is not properly percent-encoded");
    for (const char *wrong :
        {"dst/o", "ais://dst/o", "aws/@%23/dst/o", "ais/@%23/dst", "ais/@%23ns/dst/o", "ais/%40uuid%23ns/dst/o", "AIS/@%23/dst/o"})
        test_has_text(destination("object_to=" + std::string(wrong)), "names no object here: expected ais/@#/BUCKET/OBJECT");
}

// Each key takes at most some hundred steps, whatever the query contains.
static void a_query_full_of_keys_is_read_to_its_end(void **)
{
    std::string query;
    while (query.size() < 60'000)
        query += "etq_nxxx&etl_nxyz&";
    test_eq_text(verdict(query + "last=1"), "plain");
    test_has_text(verdict(query + "etl=x"), "did you mean etl_name?");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(transforms_are_named_by_id_or_by_name),
        cmocka_unit_test(slips_of_the_hand_never_give_the_plain_object),
        cmocka_unit_test(names_of_other_things_pass),
        cmocka_unit_test(empty_broken_and_contradictory_values_are_refused),
        cmocka_unit_test(pipelines_are_lists_behind_a_first_etl),
        cmocka_unit_test(what_is_not_served_yet_says_so),
        cmocka_unit_test(a_put_may_name_where_its_result_is_kept),
        cmocka_unit_test(a_query_full_of_keys_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
