using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Tests;

/// <summary>
/// Runs the real batcher through every order of a few events: requests that come, go away, miss their deadline or poison their batch, workers that take batches, and the shutdown — also in the middle of a computation.
/// Each run replays a list of choices from the start; the list is then counted on like a number until every order was seen (stateless search, as in VeriSoft and Coyote).
/// </summary>
internal sealed class BatcherExploration(BatcherSettings settings, int instances)
{
    private const int DeadlineMs = 10;

    private readonly List<int> _choices = [];
    private readonly List<int> _options = [];
    private int _depth;

    /// <summary>Orders seen so far.</summary>
    public int Orders { get; private set; }

    /// <summary>Sees every order, or the first <paramref name="most"/>.</summary>
    public void Run(int most)
    {
        do
        {
            _depth = 0;
            using var order = new Order(this);
            order.Run();
            Orders++;
        }
        while (Orders < most && Next());
    }

    private bool Next()
    {
        for (var i = _choices.Count - 1; i >= 0; i--)
        {
            if (++_choices[i] < _options[i])
                return true;
            _choices.RemoveAt(i);
            _options.RemoveAt(i);
        }

        return false;
    }

    private int Choose(int options)
    {
        if (_depth == _choices.Count)
        {
            _choices.Add(0);
            _options.Add(options);
        }

        _options[_depth].ShouldBe(options, "the same choices lead to the same state");
        return _choices[_depth++];
    }

    /// <summary>One order of events from start to end.</summary>
    private sealed class Order : IDisposable
    {
        private readonly BatcherExploration _all;
        private readonly FakeTimeProvider _time = new();
        private readonly InferenceMetrics _metrics = new();
        private readonly List<IThreadPoolWorkItem> _scheduled = [];
        private readonly List<(string Name, Action Do)> _events = [];
        private readonly Dictionary<float, Task<BatchResponse>> _answers = [];
        private readonly Dictionary<float, int> _computed = [];
        private readonly DynamicBatcher _batcher;
        private Task? _closed;
        private int _running;

        public Order(BatcherExploration all)
        {
            _all = all;
            _batcher = new(all.Settings, [.. Enumerable.Range(0, all.Instances).Select(_ => new Instance(this))], _time, _metrics, _scheduled.Add);
            var cancel = new CancellationTokenSource();
            _events.Add(("plain", () => Submit(1)));
            _events.Add(("poisoned", () => Submit(-2)));
            _events.Add(("cancellable", () =>
            {
                Submit(3, token: cancel.Token);
                _events.Add(("cancel", cancel.Cancel));
            }
            ));
            _events.Add(("urgent", () =>
            {
                Submit(4, deadline: true);
                _events.Add(("clock", () => _time.Advance(TimeSpan.FromMilliseconds(DeadlineMs))));
            }
            ));
        }

        public void Run()
        {
            while (Step())
            {
            }

            _closed = _batcher.DisposeAsync().AsTask();
            while (_scheduled.Count > 0)
                Work(0);
            // Its last step is given to the thread pool.
            _closed.Wait(TimeSpan.FromSeconds(10), CancellationToken.None).ShouldBeTrue("a batcher that is shut down comes to its end");
            _batcher.QueuedRows.ShouldBe(0);
            foreach (var (value, answer) in _answers)
                CheckAnswer(value, answer);
        }

        public void Dispose() => _metrics.Dispose();

        /// <summary>Lets one event happen, of those that can; false where none is left.</summary>
        private bool Step()
        {
            var count = _events.Count + _scheduled.Count;
            if (count == 0)
                return false;
            var chosen = _all.Choose(count);
            if (chosen >= _events.Count)
            {
                Work(chosen - _events.Count);
                return true;
            }

            var next = _events[chosen];
            _events.RemoveAt(chosen);
            next.Do();
            return true;
        }

        private void Work(int which)
        {
            var worker = _scheduled[which];
            _scheduled.RemoveAt(which);
            worker.Execute();
        }

        private void Submit(float value, bool deadline = false, CancellationToken token = default) => _answers.Add(value, _batcher.InferAsync(
            new()
            {
                Inputs = [Samples.Floats("x", [1], value)],
                Rows = 1,
                Priority = value == 4 ? 9 : 5,
                Deadline = deadline ? _time.GetUtcNow() + TimeSpan.FromMilliseconds(DeadlineMs) : null,
            },
            token));

        private void CheckAnswer(float value, Task<BatchResponse> answer)
        {
            answer.IsCompleted.ShouldBeTrue($"request {value} is answered");
            if (answer.IsCompletedSuccessfully)
            {
                value.ShouldBeGreaterThan(0, "a poisoned request is never answered as if it were good");
                Samples.ToFloats(answer.GetAwaiter().GetResult().Outputs[0]).ShouldBe([value]);
                return;
            }

            if (value == 3)
                answer.IsCanceled.ShouldBeTrue("a good request fails only because its caller went away");
            else
                ((ProblemException)answer.Exception!.InnerException!).Problem.Code.ShouldBe(value == 4 ? ProblemCodes.DeadlineExceeded : ProblemCodes.ModelExecutionFailed);
            value.ShouldNotBe(1f, "a plain request never fails");
        }

        /// <summary>Doubles as the model: other events may happen while it computes.</summary>
        private sealed class Instance(Order order) : IModelInstance
        {
            public IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop)
            {
                order._running++;
                members.Sum(m => m.Rows).ShouldBeLessThanOrEqualTo(order._all.Settings.MaxBatchSize);
                // One event within each computation keeps the number of orders finite and still meets every pair.
                if (order._running == 1 && order._events.Count > 0 && order._all.Choose(2) == 1)
                    order.Step();
                order._running--;
                stop.ThrowIfCancellationRequested();
                var whole = TensorBuffer.Concatenate(members.Select(m => m.Inputs[0]).ToArray());
                if (Samples.ToFloats(whole).Any(v => v < 0))
                    throw new InvalidOperationException("A value is negative.");
                foreach (var value in Samples.ToFloats(whole))
                {
                    order._computed[value] = order._computed.GetValueOrDefault(value) + 1;
                    order._computed[value].ShouldBe(1, "nothing is computed twice once its computation went well");
                }

                return [whole];
            }

            public void Dispose()
            {
            }
        }
    }

    private BatcherSettings Settings { get; } = settings;

    private int Instances { get; } = instances;
}
