//! Statuses that one thread takes from another.

use super::*;

#[test]
fn a_status_is_stolen_by_another_threads_wait_for_any_in_either_order() {
    let own = Selector::Pid(ZOMBIE.pid);
    let mut scene = Scene::new();
    scene.dies().reap(20, ZOMBIE, Selector::Any, 11).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 1);
    let mut scene = Scene::new();
    scene.dies().wait(20, None, own, 10).reap(20, ZOMBIE, Selector::Any, 11);
    assert_eq!(scene.stolen(), 1, "the calls end at once");
    let mut scene = Scene::new();
    scene.dies().reap(20, ZOMBIE, Selector::Any, 10).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 0, "one thread has it already");
    let mut scene = Scene::new();
    scene.dies().reap(20, ZOMBIE, own, 11).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 0, "who asks for this very child does not take it by accident");
    let mut scene = Scene::new();
    scene.dies().wait(20, None, own, 10).reap(500, ZOMBIE, Selector::Any, 11);
    assert_eq!(scene.stolen(), 0, "it was somebody else's then");
}

#[test]
fn a_shim_that_hands_statuses_on_loses_none() {
    let mut scene = Scene { name: "containerd-shim", ..Scene::new() };
    scene.dies().reap(20, ZOMBIE, Selector::Any, 11).wait(21, None, Selector::Pid(ZOMBIE.pid), 10);
    assert_eq!(scene.stolen(), 0);
}

#[test]
fn a_handler_that_reaps_whatever_died_takes_the_status_from_the_code_that_it_interrupted() {
    let own = Selector::Pid(ZOMBIE.pid);
    let mut scene = Scene { handler: Handler::Function, ..Scene::new() };
    scene.dies().poll(20, ZOMBIE, 10).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 1);
    let mut scene = Scene { handler: Handler::Function, ..Scene::new() };
    scene.dies().reap(20, ZOMBIE, Selector::Any, 10).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 0, "a call that waits is none of a handler");
    let mut scene = Scene::new();
    scene.dies().poll(20, ZOMBIE, 10).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 0, "there was no handler");
}
