"""Watches headlines: their topic and sentiment by kbert's models, a page with time series, and alerts on surges.

sources/    headlines from files, growing folders, standard input and feeds
scoring     topic and sentiment of headlines, by two kbert models
store       headlines, scores, alerts and how far sources were read, in SQLite
surges/     the rule: counts over time, the two tests, and which looks are one surge
alerts/     webhook, file and e-mail, with an outbox that repeats what failed
monitor     the loop that joins them
page/       the page, by Starlette
replay/     how soon planted surges are found, and how often the rule is wrong
commands    the command line; options has the options of several commands
"""
