"""Answers the questions of customers from a list of FAQs, and hands over to a person when it is not sure.

    python -m apps.customer_service serve FAQ.csv --model FOLDER

The README beside this file describes the commands, the page and the API.
"""
