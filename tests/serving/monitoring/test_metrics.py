import concurrent.futures
import re

from kbert.serving.monitoring.metrics import Counter, Gauge, Histogram, Metrics


def test_a_counter_has_a_line_for_each_set_of_labels():
    counter = Counter("/tensorflow/serving/request_count")
    counter.add(model_name="films", status="OK")
    counter.add(2, model_name="films", status="OK")
    counter.add(model_name="films", status="NOT_FOUND")
    assert counter.lines() == [
        ':tensorflow:serving:request_count{model_name="films",status="OK"} 3',
        ':tensorflow:serving:request_count{model_name="films",status="NOT_FOUND"} 1',
    ]
    assert counter.total() == 4


def test_labels_are_escaped():
    counter = Counter("/n")
    counter.add(**{"model-name": 'a"b\\c\nd'})
    assert counter.lines() == [':n{model_name="a\\"b\\\\c\\nd"} 1']


def test_the_buckets_of_a_histogram_are_cumulative():
    histogram = Histogram("/h", (1.0, 2.5))
    for value in (0.5, 1.0, 2.0, 7.0):
        histogram.record(value, model="m")
    assert histogram.lines() == [
        ':h_bucket{model="m",le="1"} 1',  # as in TensorFlow, a bound belongs to the next bucket
        ':h_bucket{model="m",le="2.5"} 3',
        ':h_bucket{model="m",le="+Inf"} 4',
        ':h_sum{model="m"} 10.5',
        ':h_count{model="m"} 4',
    ]


def test_a_gauge_is_asked_when_it_is_read():
    values = [({"model_name": "m"}, 2.0)]
    gauge = Gauge("/kbert/serving/queue_length", lambda: values)
    assert gauge.lines() == [':kbert:serving:queue_length{model_name="m"} 2']
    values[:] = []
    assert gauge.lines() == []


def test_the_text_names_the_kind_of_each_metric():
    metrics = Metrics()
    assert metrics.text() == ""
    metrics.request_count.add(model_name="m", status="OK")
    metrics.batch_size.record(3, model_name="m")
    metrics.add_gauge("/kbert/serving/queue_length", lambda: [({"model_name": "m"}, 0)])
    text = metrics.text()
    assert text.startswith(
        '# TYPE :tensorflow:serving:request_count counter\n:tensorflow:serving:request_count{model_name="m"'
    )
    assert "# TYPE :kbert:serving:batch_size histogram\n" in text
    assert text.endswith('# TYPE :kbert:serving:queue_length gauge\n:kbert:serving:queue_length{model_name="m"} 0\n')
    form = re.compile(r'# TYPE \S+ (counter|gauge|histogram)|[:a-z_]+\{([a-z_A-Z]+="[^"]*",?)*\} \S+')
    assert all(form.fullmatch(line) for line in text.splitlines())


def test_the_total_of_a_counter_by_its_name():
    metrics = Metrics()
    metrics.request_count.add(5, model_name="m", status="OK")
    assert metrics.counter_total("/tensorflow/serving/request_count") == 5
    assert metrics.counter_total("/none") == 0


def test_events_of_several_threads_are_all_counted():
    counter, histogram = Counter("/c"), Histogram("/h", (1.0,))

    def add(_):
        for _ in range(1000):
            counter.add(model="m")
            histogram.record(2.0, model="m")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert counter.total() == 4000
    assert histogram.lines()[-1] == ':h_count{model="m"} 4000'
