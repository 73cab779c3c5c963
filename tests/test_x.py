import sys; sys.path.insert(0,"/work/main/tests")
from conftest import *
def test_x(data, model, objective, at, tokenizer, gradient):
    for i,row in enumerate(data.train_set.rows):
        print(data.train_set.examples[i].id, len(row.encoded.ids), row.strength, row.has_history, tokenizer.convert_ids_to_tokens(row.encoded.ids[row.encoded.prompt_length:]))
        print([(int(p), int(s), tokenizer.convert_ids_to_tokens(c.tolist())) for p,s,c in zip(row.positions,row.sources,row.candidates)])
    for i,row in enumerate(data.eval_set.rows):
        print(data.eval_set.examples[i].id, len(row.encoded.ids), row.strength, row.has_history, tokenizer.convert_ids_to_tokens(row.encoded.ids[row.encoded.prompt_length:]))
        print([(int(p), int(s), tokenizer.convert_ids_to_tokens(c.tolist())) for p,s,c in zip(row.positions,row.sources,row.candidates)])
    b=data.train_set.collate(range(8))
    o=objective(model,b,0)
    print(o.terms, o.figures)
    for n,t in o.terms.items(): 
        g=gradient(t,model); print(n, g.norm(), len(g))
