#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
# Reads every URL on stdin with LWP and says what it made of the answer: complete, status or broken.
use strict;
use warnings;
use LWP::UserAgent;

$| = 1;
my $agent = LWP::UserAgent->new(timeout => 60, max_redirect => 3, keep_alive => 4, env_proxy => 0);
while (my $url = <STDIN>) {
    chomp $url;
    my $answer = $agent->get($url);
    my $size = length($answer->content);
    if ($answer->header('Client-Aborted') || $answer->header('X-Died') || ($answer->header('Client-Warning') // '') eq 'Internal response') {
        print "broken\n";
    } else {
        print(($answer->code == 200 ? 'complete' : 'status'), ' ', $answer->code, " $size\n");
    }
}
